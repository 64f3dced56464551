import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { type ExecutorAnswer, eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage, waitForEvent } from "./stage.ts";

/** A promise, and what settles it. */
function deferred<Value>(): { promise: Promise<Value>; resolve(value: Value): void } {
  let resolve = (_: Value) => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve: (value) => resolve(value) };
}

describe("a run that waits for an event", () => {
  test("ST-10 ST-11 has told its progress and is parked", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run({ document_id: "doc-1" });

    const progress = await strait.request("POST", `/sdk/v1/runs/${run.id}/progress`, {
      token: run.token,
      body: { percent: 50, message: "Waiting for manual review" },
    });
    const waiting = await run.wait("review:doc-1", {
      timeout_secs: 172_800,
      notify_url: "https://myapp.example/webhook/review-ready",
    });

    expect(progress.status).toBe(201);
    expect(waiting.status).toBe(200);
    expect(waiting.body).toMatchObject({
      event_key: "review:doc-1",
      generation: 1,
      status: "waiting",
      source_type: "job_run",
      job_run_id: run.id,
      timeout_secs: 172_800,
      notify_url: "https://myapp.example/webhook/review-ready",
      notify_status: "pending",
    });
    expect(waiting.body.trigger_id).toBe(waiting.body.id);
    expect(Date.parse(waiting.body.expires_at) - Date.parse(waiting.body.requested_at)).toBe(172_800_000);
    expect(await run.read()).toMatchObject({
      status: "waiting",
      progress: { percent: 50, message: "Waiting for manual review" },
    });
  });

  test("ST-12 R1 is dispatched again with the event's payload as its checkpoint, and completes", async () => {
    const strait = await startServer();
    const stage = await startStage(strait, ({ headers }) =>
      headers["x-dispatch"] === "1" ? { status: 202 } : { body: { published: true } },
    );
    const run = await stage.parked("review:doc-1");

    const sent = await send(strait, "review:doc-1", { approved: true, reviewer: "Zoë" });

    expect(sent.body).toMatchObject({ status: "received", disposition: "delivered" });
    const { headers, body } = await run.dispatch(2);
    expect(headers).toMatchObject({ "x-attempt": "1", "x-dispatch": "2", "x-resume-reason": "event" });
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual({ approved: true, reviewer: "Zoë" });
    expect(body).toEqual({});
    await run.is("completed");
    expect(await run.read()).toMatchObject({
      attempt: 1,
      dispatch_seq: 2,
      resume_reason: "event",
      checkpoint: { approved: true, reviewer: "Zoë" },
      result: { published: true },
    });
  });

  test("ST-12 finds in the header a payload that does not stand in the run's row", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("scan:1");
    const payload = { text: "x".repeat(5_000) };

    await send(strait, "scan:1", payload);

    expect(JSON.parse(String((await run.dispatch(2)).headers["x-last-checkpoint"]))).toEqual(payload);
  });

  test("ST-12 finds a payload that is too large for a header through the API", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("scan:1");
    const payload = { text: "x".repeat(70_000) };

    await send(strait, "scan:1", payload);

    const { headers, runToken } = await run.dispatch(2);
    expect(headers["x-last-checkpoint"]).toBeUndefined();
    expect(headers["x-checkpoint-at"]).toBeDefined();
    const checkpoint = await strait.request("GET", `/sdk/v1/runs/${run.id}/checkpoint`, { token: runToken });
    expect(checkpoint.body).toMatchObject({ run_id: run.id, source: "event_trigger", state: payload });
  });

  test("ST-06 holds no slot and no call while it waits", async () => {
    const strait = await startServer({ env: { WORKER_CONCURRENCY: "2" } });
    const stage = await startStage(strait);

    for (const key of ["a", "b", "c", "d", "e"]) await stage.parked(key);

    await eventually(async () => strait.server.dispatcher.inFlight === 0);
    expect(strait.server.dispatcher.room).toBe(2);
  });

  test("is not completed by the plain 200 of the dispatch that parked it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait, async (dispatch): Promise<ExecutorAnswer> => {
      if (dispatch.headers["x-dispatch"] !== "1") return { body: { done: true } };
      const { runId: id, runToken: token } = dispatch;
      await waitForEvent(strait, { id, token }, "review:doc-1");
      return { body: { parked: true } };
    });
    const run = await stage.run();
    await run.is("waiting");
    await eventually(async () => strait.server.dispatcher.inFlight === 0);

    expect(await run.read()).toMatchObject({ status: "waiting", result: null });

    await send(strait, "review:doc-1", null);
    await run.is("completed");
    expect((await run.read()).result).toEqual({ done: true });
  });

  test("is not changed by a first dispatch that answers after the second", async () => {
    const strait = await startServer();
    const late = deferred<ExecutorAnswer>();
    const stage = await startStage(strait, async ({ headers, runId: id, runToken: token }) => {
      if (headers["x-dispatch"] !== "1") return { status: 202 };
      await waitForEvent(strait, { id, token }, "review:doc-1");
      return late.promise;
    });
    const run = await stage.run();
    await run.is("waiting");
    await send(strait, "review:doc-1", { approved: true });
    const second = await run.dispatch(2);

    late.resolve({ body: { late: true } });
    await eventually(async () => strait.server.dispatcher.inFlight === 0);

    expect(await run.read()).toMatchObject({ status: "executing", dispatch_seq: 2, result: null });
    const complete = (token: string, result: unknown) =>
      strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, { token, body: { result } });
    expect(await complete(run.token, "late")).toMatchObject({
      status: 409,
      body: { error: { code: "stale_dispatch" } },
    });
    expect(await complete(second.runToken, "in time")).toMatchObject({ status: 200, body: { result: "in time" } });
  });

  test("may not wait twice at once, nor after its end, nor by a dispatch that was replaced", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("a");

    expect(await run.wait("b")).toMatchObject({ status: 409, body: { error: { code: "illegal_move" } } });
    await send(strait, "a", null);
    const { runToken: token } = await run.dispatch(2);
    expect(await run.wait("b")).toMatchObject({ status: 409, body: { error: { code: "stale_dispatch" } } });
    await strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, { token, body: {} });
    const afterEnd = await waitForEvent(strait, { id: run.id, token }, "b");
    expect(afterEnd).toMatchObject({ status: 409, body: { error: { code: "run_closed" } } });
    expect((await eventOf(strait, "b")).status).toBe(404);
  });
});

describe("a key", () => {
  test("U1 has one waiter at a time, and is free again when the wait has ended", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("deploy:1");
    const second = await stage.run();

    const refused = await second.wait("deploy:1");

    expect(refused).toMatchObject({
      status: 409,
      body: { error: { code: "key_in_use", details: { trigger_id: first.trigger.id, run_id: first.id } } },
    });
    expect((await second.read()).status).toBe("executing");
    await send(strait, "deploy:1", null);
    expect((await second.wait("deploy:1")).body).toMatchObject({ status: "waiting", generation: 2 });
  });

  test("U1 R2 is free when the deadline of its wait has passed, although no sweeper has been", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startUnattendedStage(strait);
    const first = await stage("deploy:1", { timeout_secs: 60, on_timeout: "resume" });
    await advanceClock(strait.db, 60_000);

    const second = await stage("deploy:1");

    expect(second.trigger).toMatchObject({ status: "waiting", generation: 2 });
    const [old] = await strait.db.query(sql`SELECT status FROM event_triggers WHERE id = ${first.trigger.id}`);
    expect(old).toEqual({ status: "timed_out" });
    await strait.tick("dispatch-runs");
    expect((await first.dispatch(2)).headers["x-resume-reason"]).toBe("timeout");
  });

  /** Runs start when the test says so: nothing happens by itself. */
  async function startUnattendedStage(strait: TestServer) {
    const stage = await startStage(strait);
    return async (key: string, options?: object) => {
      const parked = stage.parked(key, options);
      await eventually(async () => (await strait.db.query(sql`SELECT FROM run_queue`)).length > 0);
      await strait.tick("dispatch-runs");
      return parked;
    };
  }

  test("U4 counts its generations, and shows the latest", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("revision");
    await send(strait, "revision", "first");
    const { runToken: token } = await run.dispatch(2);

    const again = await waitForEvent(strait, { id: run.id, token }, "revision");

    expect([run.trigger.generation, again.body.generation]).toEqual([1, 2]);
    expect((await eventOf(strait, "revision")).body).toMatchObject({ id: again.body.id, status: "waiting" });
    const list = await strait.request("GET", "/v1/events?prefix=rev");
    expect(list.body.data.map((trigger: { generation: number }) => trigger.generation)).toEqual([1, 2]);
  });

  test("U5 is compared after NFC, and takes any character that is no control character", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const keys = ["caf\u0065\u0301", "a/b", "100 %", "aml:user-456", "日本", "x".repeat(512)];

    for (const key of keys) await stage.parked(key);

    const sent = await Promise.all(keys.map((key) => send(strait, key.normalize("NFC"), null)));
    expect(sent.map(({ body }) => body.disposition)).toEqual(keys.map(() => "delivered"));
    expect(sent[0]?.body.event_key).toBe("caf\u00e9");
  });

  test.each([
    ["", "minLength"],
    ["x".repeat(513), "maxLength"],
    ["line\nbreak", "pattern"],
    ["stats", "not"],
    ["..", "not"],
  ])("U5 is not %j", async (key, rule) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();

    const refused = await run.wait(key);

    expect(refused.status).toBe(400);
    expect(refused.body.error.code).toBe("validation_error");
    expect(refused.body.error.details.issues[0]).toMatchObject({ field: "/event_key", rule });
    expect((await run.read()).status).toBe("executing");
  });

  test("U5 of another project is another key", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const other = await strait.anotherProject();
    await stage.parked("shared");

    const path = "/v1/events/shared";
    const sent = await strait.request("POST", `${path}/send`, { token: other.apiKey, body: { payload: 1 } });

    expect(sent.status).toBe(202);
    expect((await strait.request("GET", path, { token: other.apiKey })).status).toBe(404);
    expect((await strait.request("DELETE", path, { token: other.apiKey })).status).toBe(404);
    expect((await eventOf(strait, "shared")).body.status).toBe("waiting");
  });
});
