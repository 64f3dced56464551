import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { startServer, type TestServer } from "./server.ts";
import { eventOf, hold, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const refusal = (status: number, code: string) => ({ status, body: { error: { code } } });

const reject = (strait: TestServer, key: string, body: object, headers: Record<string, string> = {}) =>
  strait.request("POST", `/v1/events/${encodeURIComponent(key)}/reject`, { body, headers });

const eventsOf = (strait: TestServer) =>
  strait.db.query(sql`SELECT disposition, is_rejection, payload::json->>'reason' AS reason FROM sends ORDER BY id`);

const rejection = { reason: "passport expired", details: { document: "passport" } };

describe("a rejection", () => {
  test("S5 fails the run that waits, with the reason and who gave it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("aml:user-456");

    const rejected = await reject(strait, "aml:user-456", rejection);

    expect(rejected).toMatchObject({
      status: 200,
      body: {
        id: run.trigger.id,
        disposition: "delivered",
        status: "canceled",
        error: expect.stringMatching(/^event trigger rejected by apikey:key_\w+: passport expired$/),
        cancellation: { kind: "rejected", ...rejection, actor: expect.stringMatching(/^apikey:key_/) },
        sent_by: expect.stringMatching(/^apikey:key_/),
        response_payload: null,
        received_at: null,
      },
    });
    await run.is("failed");
    expect(await run.read()).toMatchObject({ error: rejected.body.error, error_class: "reported" });
    expect(stage.executor.dispatches).toHaveLength(1);
    expect(await eventsOf(strait)).toEqual([
      { disposition: "delivered", is_rejection: true, reason: "passport expired" },
    ]);
  });

  test("S5 dispatches the run again when that is to resume, with the reason as its checkpoint", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { on_cancel: "resume" });

    const { body } = await reject(strait, "k", rejection);

    const { headers } = await run.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("rejected");
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual(body.cancellation);
  });

  test.each(["fail", "resume"])("S5 K2 with on_cancel %s does not wait for a run that is held", async (on_cancel) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { on_cancel });
    const lock = await hold(strait, sql`SELECT FROM runs WHERE id = ${run.id} FOR UPDATE`);

    const { status, body } = await reject(strait, "k", rejection);
    await lock.release();

    expect(status).toBe(200);
    if (on_cancel === "fail") {
      await run.is("failed");
      expect((await run.read()).error).toBe(body.error);
    } else {
      const { headers } = await run.dispatch(2);
      expect(headers["x-resume-reason"]).toBe("rejected");
      expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual(body.cancellation);
    }
  });

  test("S5 fails the step that waits, and on_failure says what that means", async () => {
    const strait = await startServer();
    const gate = { step_ref: "gate", type: "wait_for_event", event_key: "gate" };
    const stage = await startWorkflowStage(strait, [
      { ...gate, on_failure: "continue" },
      { step_ref: "rest", type: "sleep", sleep_duration: "1h", depends_on: ["gate"] },
    ]);
    const run = await stage.trigger();
    await run.step("gate", "waiting");

    const { body } = await reject(strait, "gate", rejection);

    expect((await run.step("gate", "failed")).gate).toMatchObject({ error: body.error, output: null });
    await run.step("rest", "waiting");
  });

  test("S1 equal to the one before is 200 duplicate, any other answer is 409", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const first = await reject(strait, "k", rejection);

    const again = await reject(strait, "k", rejection);
    const other = await reject(strait, "k", { reason: "blurred" });
    const answer = await send(strait, "k", 1);

    expect(again).toMatchObject({ status: 200, body: { ...first.body, disposition: "duplicate" } });
    expect(other).toMatchObject(refusal(409, "wait_closed"));
    expect(answer).toMatchObject(refusal(409, "wait_closed"));
    const { disposition: _, ...trigger } = first.body;
    expect((await eventOf(strait, "k")).body).toEqual(trigger);
    expect(await eventsOf(strait)).toMatchObject(
      ["delivered", "duplicate", "late", "late"].map((disposition) => ({ disposition })),
    );
  });

  test("after an answer is 409 already_resolved, before any wait 404, of another generation 409", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    await send(strait, "k", 1);
    await stage.parked("k");

    expect(await reject(strait, "k", { ...rejection, generation: 1 })).toMatchObject(refusal(409, "stale_generation"));
    expect(await reject(strait, "nobody", rejection)).toMatchObject(refusal(404, "not_found"));
    await send(strait, "k", 2);
    expect(await reject(strait, "k", rejection)).toMatchObject(refusal(409, "already_resolved"));
    expect(await strait.db.query(sql`SELECT FROM event_keys WHERE event_key = 'nobody'`)).toEqual([]);
  });

  test("R2 after the deadline times the wait out and is 409, with the sweeper stopped", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startWorkflowStage(strait, [
      { step_ref: "gate", type: "wait_for_event", event_key: "gate", timeout_secs: 60 },
    ]);
    const run = await stage.trigger();
    await strait.tick("wake-owners");
    await run.step("gate", "waiting");
    await advanceClock(strait.db, 60_000);

    const late = await reject(strait, "gate", rejection);

    expect(late).toMatchObject(refusal(409, "wait_closed"));
    expect((await eventOf(strait, "gate")).body).toMatchObject({ status: "timed_out", cancellation: null });
  });

  test("S2 with an Idempotency-Key answers a repeat from what was stored", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const headers = { "idempotency-key": "once" };

    const first = await reject(strait, "k", rejection, headers);
    const again = await reject(strait, "k", rejection, headers);
    const other = await reject(strait, "k", { reason: "other" }, headers);

    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(other).toMatchObject(refusal(422, "idempotency_mismatch"));
  });

  test("is 404 for a key of another project, and changes nothing there", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const { apiKey: token } = await strait.anotherProject();

    const refused = await strait.request("POST", "/v1/events/k/reject", { token, body: rejection });

    expect(refused).toMatchObject(refusal(404, "not_found"));
    expect((await eventOf(strait, "k")).body.status).toBe("waiting");
  });
});
