import { expect, test } from "vitest";
import { settleQueued } from "../src/store/prefix-settlements.ts";
import { settleAlone } from "../src/store/settlements.ts";
import type { Queryable } from "../src/store/sql.ts";
import { sql } from "../src/store/sql.ts";
import { startServer } from "./server.ts";
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
  await db.query(sql`UPDATE event_triggers SET closes_at = strait_now() WHERE id = ${due?.trigger.id}`);
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
