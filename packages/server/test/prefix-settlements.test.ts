import { expect, test } from "vitest";
import { type PrefixEvent, type PrefixMember, settleQueued } from "../src/store/prefix-settlements.ts";
import { type SettledTrigger, settleAlone } from "../src/store/settlements.ts";
import { type Queryable, type Statement, sql } from "../src/store/sql.ts";
import { waitingUnder } from "../src/store/trigger-sets.ts";
import { findNumbered } from "../src/store/triggers.ts";
import { freshDatabase } from "./database.ts";
import { lookupsOf, plansOf, wholeScans } from "./plans.ts";
import { eventually, startServer } from "./server.ts";
import { hold, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";

const payload = '{"approved":true}';

async function givenWaits(...waits: { readonly notify_url?: string }[]) {
  const strait = await startServer({ runsEngine: false });
  await strait.tick("dispatch-runs");
  const stage = await startStage(strait);
  const runs: Awaited<ReturnType<typeof stage.parked>>[] = [];
  for (const [n, options] of waits.entries())
    runs.push(await stage.parked(`batch:${n}`, { timeout_secs: 60, ...options }));
  const told = {
    project_id: strait.projectId,
    payload,
    actor: "api_key:k",
    channel: "batch",
    idempotency_key: "again",
  };
  const settle = (items: readonly PrefixMember[], event: PrefixEvent = told) =>
    strait.db.transaction((tx) => settleQueued(tx, event, items));
  const set = {
    project_id: strait.projectId,
    environment_id: runs[0]?.trigger.environment_id,
    prefix: "batch:",
    limit: waits.length,
    cursor: undefined,
    withSummary: false,
  };
  const { page } = await waitingUnder(strait.db, set, { bytes: 2 ** 20, payload_bytes: payload.length });
  const members = page.data.map((wait, n) => ({ wait, event_id: `evt_${n + 1}` }));
  return { strait, runs, members, told, settle };
}

/** All that is stored of a wait and its run, but for names and times. */
async function storedOf(db: Queryable, runId: string, triggerId: string) {
  const rows = async (table: string, where: string) => {
    const found = await db.query<{ row: object }>({
      text: `SELECT to_json(t) AS row FROM ${table} t WHERE ${where} ORDER BY 1::text`,
      values: [],
    });
    return found.map(({ row }) =>
      Object.entries(row).map(([name, value]) => {
        if (value === null || !/^(id|actor|seq|xid|event_key)$|_(id|at)$/.test(name)) return [name, value];
        return [name, name === "actor" ? String(value).replace(runId, "run") : "some"];
      }),
    );
  };
  return {
    trigger: await rows("event_triggers", `id = '${triggerId}'`),
    run: await rows("runs", `id = '${runId}'`),
    events: await rows("sends", `trigger_id = '${triggerId}'`),
    changes: await rows("changes", `subject_id IN ('${triggerId}', '${runId}')`),
    queue: await rows("run_queue", `run_id = '${runId}'`),
    wakes: await rows("run_wakes", `run_id = '${runId}'`),
    bodies: await rows("run_bodies", `run_id = '${runId}'`),
    deliveries: await rows("webhook_deliveries", `event_trigger_id = '${triggerId}'`),
  };
}

test("R1 P6 the statement for many waits writes what the one for each writes", async () => {
  const { strait, runs, members, told, settle } = await givenWaits({}, {});
  const { db } = strait;
  const [first, second] = runs.map(({ trigger }) => trigger.id);

  const many = await settle(members.slice(0, 1));
  const each = await settleAlone(db, "receive", [
    { ...told, id: second, event_id: "evt_2", delivery_id: "whd_2", error: null, due: false, lease_id: null },
  ]);

  const shown = (triggers: readonly SettledTrigger[] | undefined) =>
    triggers?.map(({ claimed, owner_pending, disposition, ...trigger }) => JSON.parse(JSON.stringify(trigger)));
  expect(shown(many)).toEqual([(await findNumbered(db, strait.projectId, first))?.row]);
  expect(shown(each)).toEqual([(await findNumbered(db, strait.projectId, second))?.row]);
  const [one, other] = runs;
  expect(await storedOf(db, one?.id ?? "", first)).toEqual(await storedOf(db, other?.id ?? "", second));
  expect(await db.query(sql`SELECT run_id FROM run_queue ORDER BY run_id`)).toEqual(
    runs.map(({ id }) => ({ run_id: id })),
  );
});

const waiting = (db: Queryable) =>
  db.query(sql`SELECT event_key FROM event_triggers WHERE status = 'waiting' ORDER BY event_key`);

test("R2 R7 waits that are due or that tell somebody, and long answers, are left to the statement for each", async () => {
  const { strait, runs, members, told, settle } = await givenWaits({}, { notify_url: "https://example.com/hook" }, {});
  const { db } = strait;
  await db.query(
    sql`UPDATE event_triggers SET expires_at = strait_now(), closes_at = strait_now() WHERE id = ${runs[0]?.trigger.id}`,
  );

  const long = await settle(members, { ...told, payload: JSON.stringify("x".repeat(600)) });
  const settled = await settle(members);

  expect(long).toEqual([]);
  expect(settled?.map(({ event_key }) => event_key)).toEqual(["batch:2"]);
  expect(await waiting(db)).toEqual([{ event_key: "batch:0" }, { event_key: "batch:1" }]);
});

const obstacles: Readonly<Record<string, (runId: string, triggerId: string) => Statement>> = {
  "whose run somebody holds": (run) => sql`SELECT 1 FROM runs WHERE id = ${run} FOR UPDATE`,
  "that somebody holds": (_run, trigger) => sql`SELECT 1 FROM event_triggers WHERE id = ${trigger} FOR UPDATE`,
};

test.each(Object.entries(obstacles))(
  "R1 R7 one wait %s leaves all to the statement for each, unchanged",
  async (_, lock) => {
    const { strait, runs, members, settle } = await givenWaits({}, {}, {});
    const { db } = strait;
    const [, held] = runs;
    const holder = await hold(strait, lock(held?.id ?? "", held?.trigger.id ?? ""));

    const settled = await settle(members);
    await holder.release();
    const afterwards = await settle(members);

    expect(settled).toBeUndefined();
    expect(afterwards).toHaveLength(3);
    expect(await waiting(db)).toEqual([]);
    expect(await db.query(sql`SELECT id FROM sends ORDER BY id`)).toEqual(
      members.map(({ event_id }) => ({ id: event_id })),
    );
  },
);

test("R1 R7 one run that has not parked itself leaves all to the statement for each", async () => {
  const { strait, runs, members, settle } = await givenWaits({}, {});
  const { db } = strait;
  await db.query(sql`UPDATE runs SET status = 'executing', lease_id = 1 WHERE id = ${runs[1]?.id}`);

  const settled = await settle(members);

  expect(settled).toBeUndefined();
  expect(await waiting(db)).toHaveLength(2);
  expect(await db.query(sql`SELECT 1 FROM sends`)).toEqual([]);
  expect(await db.query(sql`SELECT 1 FROM run_queue`)).toEqual([]);
});

test("R7 a transaction keeps its own limit for locks and its way of planning, whether its waits are settled or taken back", async () => {
  const { strait, runs, members, told } = await givenWaits({}, {});
  const { db } = strait;
  await db.query(sql`UPDATE runs SET status = 'executing', lease_id = 1 WHERE id = ${runs[1]?.id}`);
  const settingsAfter = (some: readonly PrefixMember[]) =>
    db.transaction(
      async (tx) => {
        const settled = await settleQueued(tx, told, some);
        const [settings] = await tx.query<object>(sql`
          SELECT current_setting('lock_timeout') AS limit, current_setting('enable_nestloop') AS nestloop,
            current_setting('enable_hashjoin') AS hashjoin`);
        return { count: settled?.length, ...settings };
      },
      { lockTimeoutMs: 250 },
    );

  const own = { limit: "250ms", nestloop: "on", hashjoin: "off" };
  expect(await settingsAfter(members.slice(1))).toEqual({ count: undefined, ...own });
  expect(await settingsAfter(members.slice(0, 1))).toEqual({ count: 1, ...own });
});

test("R1 R4 a deadline that is changed and a run that reports after the statement has begun, and before it has the locks, are taken as they are then", async () => {
  const { strait, runs, members, settle } = await givenWaits({});
  const { db } = strait;
  const [wait] = runs.map(({ trigger }) => trigger);
  // The clock is read for each row, before its lock: whoever waits for it has begun. It loops, and does not wait for a
  // lock, whose limit would end the statement.
  await db.query(sql`CREATE TABLE gate (is_open boolean)`);
  await db.query(sql`
    CREATE OR REPLACE FUNCTION strait_now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
      RETURN statement_timestamp();
    END $$`);

  const settling = settle(members);
  await eventually(async () => {
    const looping = await db.query(
      sql`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`,
    );
    return looping.length > 0;
  });
  await db.query(sql`
    UPDATE event_triggers SET expires_at = expires_at + interval '1 hour', closes_at = closes_at + interval '1 hour',
      change_seq = change_seq + 1 WHERE id = ${wait.id}`);
  await db.query(sql`UPDATE runs SET change_seq = 100`);
  await db.query(sql`INSERT INTO gate VALUES (true)`);

  expect(await settling).toMatchObject([{ id: wait.id, status: "received" }]);
  expect(await db.query(sql`SELECT status FROM runs`)).toEqual([{ status: "queued" }]);
  expect(await db.query(sql`SELECT sequence FROM changes WHERE ended_trigger_id = ${wait.id}`)).toEqual([
    { sequence: 101 },
  ]);
  expect(await db.query(sql`SELECT disposition FROM sends`)).toEqual([{ disposition: "delivered" }]);
});

test("R1 R4 a wait that was extended since it was found is left to the statement for each, which tells its new deadline", async () => {
  const { strait, members, settle } = await givenWaits({}, {});
  const extended = await strait.request("POST", "/v1/events/batch:0/extend", { body: { timeout_secs: 90 } });
  expect(extended.status).toBe(200);

  const settled = await settle(members);

  expect(settled?.map(({ event_key }) => event_key)).toEqual(["batch:1"]);
  expect(await waiting(strait.db)).toEqual([{ event_key: "batch:0" }]);
});

test("P6 waits and runs are found by one walk along an index each, by plans made with statistics or without", async () => {
  const { strait, members, settle } = await givenWaits({}, {}, {});
  const recorded = recordStatements();
  expect(await settle(members)).toHaveLength(3);
  const [text = ""] = recorded
    .map((statement) => statement.text)
    .filter((text) => text.includes("UPDATE event_triggers"));
  const set = recorded.find((statement) => statement.text.includes("set_config"))?.values as [string[], string[]];
  const settings = set[0].map((name, index) => `${name} = '${set[1][index]}'`);
  await strait.db.query(sql`ANALYZE`);

  for (const url of [strait.databaseUrl, (await freshDatabase()).url]) {
    const plan = (await plansOf(url, [text], settings)).get(text);
    if (plan === undefined) throw new Error("nothing was settled");
    expect(wholeScans(plan)).toEqual([]);
    expect(lookupsOf(plan).map(({ index, condition }) => [index, /\bid = ANY/.test(condition)])).toEqual([
      ["event_triggers_pkey", true],
      ["runs_pkey", true],
    ]);
  }
});
