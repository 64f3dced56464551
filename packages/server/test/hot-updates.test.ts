import { expect, test } from "vitest";
import { openSession } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { givenJob, runIs, trigger, triggerMany } from "./given.ts";
import { eventually, startExecutor, startServer } from "./server.ts";

test("Q2 more than half of the updates of a run's row are made in place", async () => {
  const strait = await startServer();
  const executor = await startExecutor();
  const job = await givenJob(strait, { endpoint_url: executor.url });

  for (let round = 0; round < 10; round++) {
    const claimedAtInsert = await Promise.all(Array.from({ length: 30 }, () => trigger(strait, job)));
    const queued = await triggerMany(strait, job, 10, { priority: 1 });
    await Promise.all([...claimedAtInsert.map(({ id }) => id), ...queued].map((id) => runIs(strait, id, "completed")));
  }
  await strait.close();

  const session = await openSession(strait.databaseUrl, "test");
  const counts = await eventually(async () => {
    const [row] = await session.query<{ updated: number; hot: number }>(sql`
      SELECT n_tup_upd::float8 AS updated, n_tup_hot_upd::float8 AS hot FROM pg_stat_user_tables WHERE relname = 'runs'`);
    return row && row.updated >= 300 && row;
  });
  await session.close();
  expect(counts.hot / counts.updated).toBeGreaterThan(0.5);
});

test("Q2 no index of runs mentions what changes while a run lives, but for the lease", async () => {
  const strait = await startServer({ runsEngine: false });
  const volatile = ["status", "attempt", "dispatch_seq", "result", "checkpoint", "error", "finished_at", "change_seq"];

  const indexed = await strait.db.query<{ column: string }>(sql`
    SELECT DISTINCT a.attname::text AS "column" FROM pg_index i
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
    WHERE i.indrelid = 'runs'::regclass AND d.refobjsubid > 0
    UNION
    SELECT DISTINCT a.attname::text FROM pg_index i
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = 'runs'::regclass`);
  const [table] = await strait.db.query<{ options: string[] }>(
    sql`SELECT reloptions AS options FROM pg_class WHERE oid = 'runs'::regclass`,
  );

  const names = indexed.map(({ column }) => column);
  expect(names).toContain("lease_id");
  expect(names.filter((name) => volatile.includes(name))).toEqual([]);
  expect(table?.options).toContain("fillfactor=45");
});
