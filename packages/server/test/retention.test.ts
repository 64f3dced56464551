import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { countOf, startQuiet } from "./given.ts";
import { eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { eventOf, hold, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const DAY_MS = 86_400_000;
const HOURS_200 = { EVENT_TRIGGER_RETENTION: "200h" };

async function passes(strait: TestServer, ms: number): Promise<void> {
  await advanceClock(strait.db, ms);
  await strait.server.context.clock.synchronize(strait.db);
  await strait.tick("delete-old-events");
}

const pending = async (strait: TestServer) =>
  (await strait.db.query(sql`SELECT 1 FROM webhook_deliveries WHERE status = 'pending'`)).length;

const keysOf = async (strait: TestServer, table: string) =>
  (
    await strait.db.query<{ key: string }>({ text: `SELECT event_key AS key FROM ${table} ORDER BY 1`, values: [] })
  ).map(({ key }) => key);

describe("the retention of events", () => {
  test("ST-22 W4 deletes ended triggers after 30 days, with their events, deliveries and changes, and nothing else", async () => {
    const strait = await startQuiet();
    const receiver = await startExecutor();
    const stage = await startStage(strait);
    const notify_url = `${receiver.url}/ready`;
    const ended = await stage.parked("ended", { notify_url, timeout_secs: null });
    const waiting = await stage.parked("waiting", { timeout_secs: null });
    await send(strait, "ended", 1);
    await send(strait, "ended", 1);
    await ended.dispatch(2);
    const complete = `/sdk/v1/runs/${ended.id}/complete`;
    const { runToken } = await ended.dispatch(2);
    expect((await strait.request("POST", complete, { token: runToken, body: {} })).status).toBe(200);
    await strait.tick("deliver-webhooks");
    await eventually(async () => (await pending(strait)) === 0);

    await passes(strait, 29 * DAY_MS);
    expect(await keysOf(strait, "event_triggers")).toEqual(["ended", "waiting"]);
    await passes(strait, DAY_MS + 60_000);

    expect(await keysOf(strait, "event_triggers")).toEqual(["waiting"]);
    expect(await countOf(strait, "sends")).toBe(0);
    expect(await countOf(strait, "webhook_deliveries")).toBe(0);
    const subjects = await strait.db.query<{ id: string }>(sql`
      SELECT DISTINCT subject_id AS id FROM changes WHERE subject_id LIKE 'trg_%' OR subject_id LIKE 'whd_%'`);
    expect(subjects).toEqual([{ id: waiting.trigger.id }]);
    expect((await eventOf(strait, "ended")).status).toBe(404);
    expect((await waiting.read()).status).toBe("waiting");
  });

  test("ST-22 is as long as EVENT_TRIGGER_RETENTION says, and spares what a run that goes on may need", async () => {
    const strait = await startServer({ runsEngine: false, env: HOURS_200 });
    const steps = [{ step_ref: "gate", type: "wait_for_event", event_key: "gate" }];
    const open = { step_ref: "open", type: "wait_for_event", event_key: "open", timeout_secs: null };
    const done = await startWorkflowStage(strait, steps, { slug: "done" });
    await done.trigger();
    await send(strait, "gate", 1);
    await strait.tick("wake-owners");
    const going = await startWorkflowStage(strait, [{ ...steps[0], event_key: "spared" }, open], { slug: "going" });
    await going.trigger();
    await send(strait, "spared", 1);

    await passes(strait, 200 * 3_600_000 + 60_000);

    expect(await keysOf(strait, "event_triggers")).toEqual(["open", "spared"]);
  });

  test("W4 deletes events that met no trigger; what is still buffered stays, and a dead letter counts from its death", async () => {
    const strait = await startQuiet(HOURS_200);
    await send(strait, "kept", 1, { ttl_secs: 10_000_000 });
    const discarded = (await send(strait, "discarded", 1, { ttl_secs: 60 })).body.id;
    await send(strait, "dead", 1, { ttl_secs: 400_000 });
    await strait.advance(60_000);
    await strait.request("POST", `/v1/event-dead-letters/${discarded}/discard`);
    await strait.advance(400_000_000);

    await passes(strait, 200 * 3_600_000 - 400_000_000);
    expect(await keysOf(strait, "events")).toEqual(["dead", "kept"]);
    await passes(strait, 400_000_000);

    expect(await keysOf(strait, "events")).toEqual(["kept"]);
  });

  test("W4 keeps the row of a key for 30 days more, and longer where somebody waits or an event is kept", async () => {
    const strait = await startQuiet(HOURS_200);
    const stage = await startStage(strait);
    await stage.parked("old", { timeout_secs: null });
    await stage.parked("open", { timeout_secs: null });
    await send(strait, "buffered", 1, { ttl_secs: 100_000_000 });
    await strait.request("DELETE", "/v1/events/old");
    await strait.tick("wake-owners");

    await passes(strait, 29 * DAY_MS);
    expect(await keysOf(strait, "event_triggers")).toEqual(["open"]);
    expect(await keysOf(strait, "event_keys")).toEqual(["buffered", "old", "open"]);
    await passes(strait, 10 * DAY_MS);

    expect(await keysOf(strait, "event_keys")).toEqual(["buffered", "open"]);
    expect((await stage.parked("old")).trigger.generation).toBe(1);
  });

  test("W4 U2 keeps the row of a key on which somebody still waits who had shared it", async () => {
    const strait = await startQuiet(HOURS_200);
    const stage = await startStage(strait);
    await stage.parked("shared", { timeout_secs: null });
    const { trigger } = await stage.parked("shared", { timeout_secs: null, on_conflict: "join" });
    await strait.request("DELETE", `/v1/events/shared?trigger_id=${trigger.id}`);
    await strait.tick("wake-owners");

    await passes(strait, 10 * DAY_MS);
    await passes(strait, 60 * DAY_MS);

    expect(await countOf(strait, "event_triggers")).toBe(1);
    expect((await eventOf(strait, "shared")).body).toMatchObject({ status: "waiting", generation: 1 });
  });

  test("W4 waits for nobody: what somebody holds is deleted another time", async () => {
    const strait = await startQuiet(HOURS_200);
    const stage = await startStage(strait);
    for (const key of ["free", "held"]) await stage.parked(key);
    for (const key of ["free", "held"]) await strait.request("DELETE", `/v1/events/${key}`);
    await strait.tick("wake-owners");
    const holder = await hold(strait, sql`SELECT 1 FROM event_triggers WHERE event_key = 'held' FOR UPDATE`);

    await passes(strait, 201 * 3_600_000);
    expect(await keysOf(strait, "event_triggers")).toEqual(["held"]);
    await holder.release();
    await strait.tick("delete-old-events");

    expect(await keysOf(strait, "event_triggers")).toEqual([]);
  });

  test("W4 works in groups, and goes through all keys however many there are", async () => {
    const strait = await startQuiet(HOURS_200);
    await strait.db.query(sql`
      INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, job_run_id,
        status, finished_at)
      SELECT ${strait.projectId}, 'trg_00' || n, 'e', 'k' || n, 1, 'job_run', 'event', 'r', 'canceled', strait_now()
      FROM generate_series(1, 1200) AS n`);
    await strait.db.query(sql`
      INSERT INTO event_keys (project_id, environment_id, event_key, generation, latest_trigger_id)
      SELECT project_id, environment_id, event_key, 1, id FROM event_triggers`);
    await advanceClock(strait.db, 100 * DAY_MS);
    await strait.server.context.clock.synchronize(strait.db);

    const { handled } = (await strait.server.engine.tasks.get("delete-old-events")?.tick()) ?? {};
    for (let n = 0; n < 4; n++) await strait.tick("delete-old-events");

    expect(handled).toBe(500);
    expect(await countOf(strait, "event_triggers")).toBe(0);
    expect(await countOf(strait, "event_keys")).toBe(0);
  });
});
