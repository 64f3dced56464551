import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage, waitForEvent } from "./stage.ts";

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

describe("a deadline", () => {
  test("is an hour from the opening unless the wait says otherwise, and ends the run as timed out", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1");
    expect(run.trigger).toMatchObject({ timeout_secs: 3_600, on_timeout: "fail", on_cancel: "fail" });

    await strait.advance(HOUR_MS - 5_000);
    expect((await run.read()).status).toBe("waiting");
    await strait.advance(5_000);

    await run.is("timed_out");
    expect(await run.read()).toMatchObject({ error: "event trigger timed out", error_class: "timeout" });
    expect((await eventOf(strait, "review:1")).body).toMatchObject({ status: "timed_out", response_payload: null });
    expect(stage.executor.dispatches).toHaveLength(1);
  });

  test("R2 B2 that has passed as the wait opens times it out at once, unless its answer is there already", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const deadline = "2020-01-01T00:00:00Z";
    await send(strait, "early", 1);
    const [late, early] = [await stage.run(), await stage.run()];

    const opened = await late.wait("nobody", { deadline, on_timeout: "resume" });
    const answered = await early.wait("early", { deadline });

    expect(opened.body).toMatchObject({ status: "waiting", expires_at: "2020-01-01T00:00:00.000000Z" });
    expect((await late.dispatch(2)).headers["x-resume-reason"]).toBe("timeout");
    expect(answered.body).toMatchObject({ status: "received", response_payload: 1 });
  });

  test("dispatches the run again when it is to resume, with what it had saved as its checkpoint", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const saved = { token: run.token, body: { state: { page: 7 } } };
    await strait.request("POST", `/sdk/v1/runs/${run.id}/checkpoint`, saved);
    await run.wait("review:1", { timeout_secs: 60, on_timeout: "resume" });

    await strait.advance(60_000);

    const { headers } = await run.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("timeout");
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual({ page: 7 });
    expect((await eventOf(strait, "review:1")).body.status).toBe("timed_out");
  });

  test("of a second or more fires within 100 ms: a look comes every second, and knows what falls due before the next", async () => {
    const strait = await startServer({ runsEngine: false });
    await strait.tick("dispatch-runs");
    const stage = await startStage(strait);
    const run = await stage.run();
    await run.wait("soon", { timeout_secs: 1 });
    const task = strait.server.engine.tasks.get("settle-due-waits");

    const early = await task?.tick();
    const [left] = await strait.db.query<{ ms: number }>(sql`
      SELECT 1000 * extract(epoch FROM expires_at - strait_now())::float8 AS ms FROM event_triggers`);
    await advanceClock(strait.db, 1_000);
    const due = await task?.tick();

    expect(task?.idleMs).toBe(1_000);
    expect(early).toMatchObject({ handled: 0 });
    expect(early?.nextMs).toBeGreaterThanOrEqual(left?.ms ?? Infinity);
    expect(early?.nextMs).toBeLessThanOrEqual(1_000);
    expect(due?.handled).toBe(1);
  });

  test("may be an absolute time", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const deadline = new Date(Date.now() + HOUR_MS).toISOString();
    const run = await stage.parked("review:1", { deadline });

    expect(run.trigger.timeout_secs).toBeNull();
    expect(Date.parse(run.trigger.expires_at)).toBe(Date.parse(deadline));

    await strait.advance(HOUR_MS);
    await run.is("timed_out");
  });

  test("may not be given twice", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();

    const refused = await run.wait("review:1", { deadline: new Date().toISOString(), timeout_secs: 5 });

    expect(refused).toMatchObject({ status: 400, body: { error: { details: { issues: [{ field: "/deadline" }] } } } });
  });

  test("may be none: timeout_secs null waits for years", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", { timeout_secs: null });
    expect(run.trigger).toMatchObject({ timeout_secs: null, expires_at: null });

    await strait.advance(20 * YEAR_MS);

    expect((await send(strait, "review:1", 1)).body.disposition).toBe("delivered");
    await run.dispatch(2);
  });

  test("is the wait's alone: the job's timeout_secs does not end a run that waits", async () => {
    const strait = await startServer();
    const stage = await startStage(strait, undefined, { timeout_secs: 60 });
    const run = await stage.parked("review:1");

    await strait.advance(120_000);

    expect(await run.read()).toMatchObject({ status: "waiting", attempt: 1 });
    await send(strait, "review:1", 1);
    await run.dispatch(2);
  });

  test("R3 of an older wait does not end a newer one on the same key", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", { timeout_secs: 60 });
    await send(strait, "review:1", "first");
    const { runToken: token } = await run.dispatch(2);
    await waitForEvent(strait, { id: run.id, token }, "review:1", { timeout_secs: 120 });

    await strait.advance(60_000);

    expect((await eventOf(strait, "review:1")).body).toMatchObject({ status: "waiting", generation: 2 });
    expect((await run.read()).status).toBe("waiting");
  });
});

describe("a notify_url", () => {
  const deliveries = (strait: TestServer) =>
    strait.db.query<{ event_type: string; status: string; payload: string; is_same: boolean }>(sql`
      SELECT d.event_type, d.status, d.payload, d.created_at = coalesce(t.finished_at, t.requested_at) AS is_same
      FROM webhook_deliveries d
      JOIN event_triggers t ON t.id = d.event_trigger_id ORDER BY d.id`);
  const notified = { notify_url: "http://127.0.0.1:1/ready" };

  test.each([
    ["trigger.received", (strait: TestServer) => send(strait, "review:1", 1)],
    ["trigger.timed_out", (strait: TestServer) => strait.advance(HOUR_MS)],
    ["trigger.canceled", (strait: TestServer) => strait.request("DELETE", "/v1/events/review:1")],
  ])("R1 gets a delivery when the wait opens and one %s, each in the statement that did it", async (ended, end) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", notified);

    const opened = await deliveries(strait);
    await end(strait);
    const both = await eventually(async () => {
      const rows = await deliveries(strait);
      return rows.length > 1 && rows;
    });

    expect(opened).toMatchObject([{ event_type: "trigger.waiting", status: "pending", is_same: true }]);
    expect(both.map(({ event_type, is_same }) => [event_type, is_same])).toEqual([
      ["trigger.waiting", false],
      [ended, true],
    ]);
    expect(JSON.parse(both[1]?.payload ?? "")).toMatchObject({
      event: ended,
      trigger_id: run.trigger.id,
      event_key: "review:1",
      generation: 1,
      job_run_id: run.id,
    });
  });

  test("gets one delivery when the event was there already", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "review:1", 1);
    const run = await stage.run();

    await run.wait("review:1", notified);

    expect(await deliveries(strait)).toMatchObject([{ event_type: "trigger.received", is_same: true }]);
  });
});
