import { expect, test } from "vitest";
import { settleQueued } from "../src/store/prefix-settlements.ts";
import { settleAlone } from "../src/store/settlements.ts";
import type { Queryable } from "../src/store/sql.ts";
import { sql } from "../src/store/sql.ts";
import { blockedSessions } from "./given.ts";
import { eventually, startServer } from "./server.ts";
import { hold, startStage } from "./stage.ts";

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
    payload_digest: "d".repeat(64),
    actor: "api_key:k",
    channel: "batch",
    idempotency_key: "again",
  };
  return { strait, runs, told };
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
    events: await rows("events", `trigger_id = '${triggerId}'`),
    changes: await rows("changes", `subject_id IN ('${triggerId}', '${runId}')`),
    queue: await rows("run_queue", `run_id = '${runId}'`),
    wakes: await rows("run_wakes", `run_id = '${runId}'`),
    bodies: await rows("run_bodies", `run_id = '${runId}'`),
    deliveries: await rows("webhook_deliveries", `event_trigger_id = '${triggerId}'`),
  };
}

test("R1 P6 the statement for many waits writes what the one for each writes", async () => {
  const { strait, runs, told } = await givenWaits({}, {});
  const { db } = strait;
  const [first, second] = runs.map(({ trigger }) => trigger.id);

  const many = await settleQueued(db, told, [{ id: first, event_id: "evt_1" }]);
  const each = await settleAlone(db, "receive", [
    { ...told, id: second, event_id: "evt_2", delivery_id: "whd_2", error: null, due: false, lease_id: null },
  ]);

  expect(many.map(({ id }) => id)).toEqual([first]);
  expect(Object.keys(many[0] ?? {}).sort()).toEqual(Object.keys(each[0] ?? {}).sort());
  const [one, other] = runs;
  expect(await storedOf(db, one?.id ?? "", first)).toEqual(await storedOf(db, other?.id ?? "", second));
  expect(await db.query(sql`SELECT run_id FROM run_queue ORDER BY run_id`)).toEqual(
    runs.map(({ id }) => ({ run_id: id })),
  );
});

test("R7 waits that others hold, that are due or that tell somebody, and long answers are left to the statement for each", async () => {
  const { strait, runs, told } = await givenWaits({}, {}, {}, { notify_url: "https://example.com/hook" }, {});
  const { db } = strait;
  const [heldRun, heldWait, due] = runs;
  await db.query(
    sql`UPDATE event_triggers SET expires_at = strait_now(), closes_at = strait_now() WHERE id = ${due?.trigger.id}`,
  );
  const locks = [
    await hold(strait, sql`SELECT 1 FROM runs WHERE id = ${heldRun?.id} FOR UPDATE`),
    await hold(strait, sql`SELECT 1 FROM event_triggers WHERE id = ${heldWait?.trigger.id} FOR UPDATE`),
  ];
  const members = runs.map(({ trigger }, n) => ({ id: trigger.id, event_id: `evt_${n}` }));

  const long = await settleQueued(db, { ...told, payload: JSON.stringify("x".repeat(600)) }, members);
  const settled = await settleQueued(db, told, members);

  for (const lock of locks) await lock.release();
  expect(long).toEqual([]);
  expect(settled.map(({ event_key }) => event_key)).toEqual(["batch:4"]);
  expect(await db.query(sql`SELECT count(*)::int4 AS waiting FROM event_triggers WHERE status = 'waiting'`)).toEqual([
    { waiting: 4 },
  ]);
});

test("R1 R4 a deadline that is changed after the statement has begun, and before it has the lock, ends with the wait", async () => {
  const { strait, runs, told } = await givenWaits({});
  const { db } = strait;
  const [wait] = runs.map(({ trigger }) => trigger);
  // The clock is read for each row, before its lock: whoever waits for it has begun.
  await db.query(sql`
    CREATE OR REPLACE FUNCTION strait_now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
    BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN statement_timestamp(); END $$`);
  const gate = await hold(strait, sql`SELECT pg_advisory_xact_lock(4711)`);

  const settling = settleQueued(db, told, [{ id: wait.id, event_id: "evt_1" }]);
  await eventually(async () => (await blockedSessions(strait)) >= 1);
  await db.query(sql`
    UPDATE event_triggers SET expires_at = expires_at + interval '1 hour', closes_at = closes_at + interval '1 hour',
      change_seq = change_seq + 1 WHERE id = ${wait.id}`);
  await gate.release();

  expect(await settling).toMatchObject([{ id: wait.id, status: "received" }]);
  expect(await db.query(sql`SELECT status FROM runs`)).toEqual([{ status: "queued" }]);
  expect(await db.query(sql`SELECT disposition FROM events`)).toEqual([{ disposition: "delivered" }]);
});
