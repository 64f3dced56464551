import { describe, expect, onTestFinished, test } from "vitest";
import { openSession } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { givenJob, landed, trigger, triggerMany } from "./given.ts";
import { type Executor, startExecutor, startServer, type TestServer } from "./server.ts";
import { type RecordedStatement, recordStatements } from "./statements.ts";

/** Another project with a job, whose dispatches are told apart by their path. */
async function givenTenant(strait: TestServer, executor: Executor, name: string, count: number): Promise<string> {
  const { apiKey: token, projectId } = await strait.anotherProject();
  const job = { name, slug: name, endpoint_url: `${executor.url}/${name}` };
  expect((await strait.request("POST", "/v1/jobs", { token, body: job })).status).toBe(201);
  for (let left = count; left > 0; left -= 500) {
    const items = Array.from({ length: Math.min(left, 500) }, () => ({ payload: {} }));
    await strait.request("POST", `/v1/jobs/${name}/trigger/bulk`, { token, body: { items } });
  }
  return projectId;
}

describe("Q3 the queue is fair", () => {
  test.each([8, 1])("projects with 1,000, 10 and 10 runs are served in turn when %i fit at once", async (room) => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: String(room) } });
    const executor = await startExecutor();
    for (const [name, count] of [
      ["a", 1_000],
      ["b", 10],
      ["c", 10],
    ] as const) {
      await givenTenant(strait, executor, name, count);
    }

    while (executor.dispatches.length < 30) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    const served = executor.dispatches.slice(0, 30).map(({ path }) => path.slice(1));
    for (let turn = 0; turn < 30; turn += 3) expect(served.slice(turn, turn + 3).sort()).toEqual(["a", "b", "c"]);
  });

  test("a claim starts behind the project that was served last", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: "1" } });
    const executor = await startExecutor();
    for (const name of ["a", "b", "c"]) await givenTenant(strait, executor, name, 2);

    for (let n = 0; n < 6; n++) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    expect(executor.dispatches.map(({ path }) => path)).toEqual(["/a", "/b", "/c", "/a", "/b", "/c"]);
  });

  test("a point of priority is worth an hour of age, so that nothing waits for ever", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: "1" } });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const aged = { payload: "aged" };
    const old = await trigger(strait, job, aged);
    const older = await trigger(strait, job, aged);
    await strait.db.query(
      sql`UPDATE run_queue SET ready_at = ready_at - interval '59 minutes' WHERE run_id = ${old.id}`,
    );
    await strait.db.query(
      sql`UPDATE run_queue SET ready_at = ready_at - interval '61 minutes' WHERE run_id = ${older.id}`,
    );
    const urgent = await trigger(strait, job, { priority: 1 });

    while (executor.dispatches.length < 3) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    expect(executor.dispatches.map(({ runId }) => runId)).toEqual([older.id, urgent.id, old.id]);
  });

  test("a claim reads from the floor of its pair: dead entries that a held snapshot keeps cost it nothing", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: "100" } });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    for (let n = 0; n < 4; n++) await triggerMany(strait, job, 500);
    await strait.db.query(
      sql`UPDATE run_queue SET ready_at = ready_at - interval '1 day' + seq * interval '10 seconds'`,
    );
    await strait.db.query(sql`VACUUM run_queue`);
    const reader = await openSession(strait.databaseUrl, "test");
    onTestFinished(() => reader.close());
    await reader.query(sql`BEGIN ISOLATION LEVEL REPEATABLE READ`);
    await reader.query(sql`SELECT count(*) FROM run_queue`);
    const statements = recordStatements();

    for (let n = 0; n < 20; n++) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    expect(executor.dispatches.length).toBeGreaterThan(1_000);
    const claims = statements.filter(({ text }) => text.includes("DELETE FROM run_queue"));
    const claim = claims.findLast(({ values }) => floorOf(values) !== EPOCH);
    if (!claim) throw new Error("no claim had a floor");
    const withoutFloor = { ...claim, values: claim.values.map((value) => (isFloors(value) ? [EPOCH] : value)) };
    const cost = await blocksRead(strait, claim);
    expect(cost).toBeGreaterThan(0);
    expect(await blocksRead(strait, withoutFloor)).toBeGreaterThan(3 * cost);
  });
});

const EPOCH = "1970-01-01T00:00:00Z";
const isFloors = (value: unknown): value is string[] => Array.isArray(value) && /^\d{4}-/.test(value[0]);
const floorOf = (values: readonly unknown[]) => values.find(isFloors)?.[0];

/** Pages of the queue and its index that the claim looks at for its heads, dead entries included. */
async function blocksRead(strait: TestServer, claim: RecordedStatement): Promise<number> {
  const session = await openSession(strait.databaseUrl, "test");
  try {
    await session.query(sql`BEGIN`);
    await session.query(sql`SET LOCAL enable_seqscan = off`);
    const [row] = await session.query<{ "QUERY PLAN": [{ Plan: Plan }] }>({
      text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${claim.text}`,
      values: claim.values,
    });
    return row ? blocksOf(row["QUERY PLAN"][0].Plan) : 0;
  } finally {
    await session.query(sql`ROLLBACK`);
    await session.close();
  }
}

interface Plan {
  readonly "Node Type": string;
  readonly "Subplan Name"?: string;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly Plan[];
}

/** What the scan below the step `head` of the claim has read. */
function blocksOf(plan: Plan, isHead = false): number {
  const isBelow = isHead || plan["Subplan Name"] === "CTE head";
  const isScan = isBelow && plan["Node Type"].startsWith("Index");
  const own = isScan ? plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] : 0;
  return own + (plan.Plans ?? []).reduce((sum, child) => sum + blocksOf(child, isBelow), 0);
}
