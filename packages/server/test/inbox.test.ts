import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { blockedSessions, historyOf, trigger } from "./given.ts";
import { inboxOf, receive, sendMessage } from "./inbox-stage.ts";
import { type Dispatch, eventually, startServer, type TestServer } from "./server.ts";
import { besides, hold, send, startStage, waitForEvent } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const payloads = (messages: readonly { readonly payload: unknown }[]) => messages.map(({ payload }) => payload);
const checkpointOf = ({ headers }: Dispatch) => JSON.parse(String(headers["x-last-checkpoint"]));
const runOf = ({ runId: id, runToken: token }: Dispatch) => ({ id, token });

describe("a message to a run", () => {
  test("GR-01 GR-09 is stored in every state of the run, by name and payload, in the order of arrival", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const scheduled_at = new Date(strait.server.context.clock.nowMs() + 3_600_000).toISOString();
    const delayed = await trigger(strait, stage.jobId, { scheduled_at });
    const executing = await stage.run();
    const waiting = await stage.parked("review:1");

    const answers = [];
    for (const { id } of [delayed, executing, waiting]) {
      answers.push(await sendMessage(strait, id, "chat", { text: "first" }));
      answers.push(await sendMessage(strait, id, "order.rejected", "second"));
    }

    expect(answers.map(({ status, body }) => `${status} ${body.disposition}`)).toEqual(
      answers.map(() => "202 buffered"),
    );
    for (const { id } of [delayed, executing, waiting]) {
      expect(await inboxOf(strait, id)).toMatchObject([
        { run_id: id, name: "chat", payload: { text: "first" }, sequence: 1, received_at: null },
        { run_id: id, name: "order.rejected", payload: "second", sequence: 2, received_at: null },
      ]);
    }
    expect((await waiting.read()).status).toBe("waiting");
  });

  test("GR-02 X1 wakes the run that waits for it, which goes on with it as its checkpoint", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();

    const parked = await receive(strait, run, { names: ["chat"], timeout_secs: 60 });
    const sent = await sendMessage(strait, run.id, "chat", { text: "hello" });

    expect(parked.body).toMatchObject({
      status: "waiting",
      messages: [],
      trigger: { trigger_type: "inbox", status: "waiting", job_run_id: run.id, timeout_secs: 60 },
    });
    expect(sent).toMatchObject({ status: 200, body: { disposition: "delivered", name: "chat", sequence: 1 } });
    const second = await run.dispatch(2);
    expect(second.headers["x-resume-reason"]).toBe("event");
    expect(checkpointOf(second)).toEqual({ messages: [sent.body] });
    expect(await inboxOf(strait, run.id, "?unread=true")).toEqual([]);
    expect(await historyOf(strait, run.id)).toEqual(["executing", "waiting", "executing"]);
    expect(await historyOf(strait, parked.body.trigger.id)).toEqual(["waiting", "received"]);
  });

  test("GR-02 GR-03 is queued while the run executes, and the next receive takes it at once", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const sent = await sendMessage(strait, run.id, "chat", 1);

    const received = await receive(strait, run);

    expect(received).toMatchObject({ status: 200, body: { status: "received", messages: [sent.body], trigger: null } });
    expect((await run.read()).status).toBe("executing");
    expect(await receive(strait, run)).toMatchObject({ body: { status: "waiting", messages: [] } });
  });

  test("GR-03 that comes before the run has started is there when it asks", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const scheduled_at = new Date(strait.server.context.clock.nowMs() + 60_000).toISOString();
    const { id } = await trigger(strait, stage.jobId, { scheduled_at });
    await sendMessage(strait, id, "chat", "early");
    await strait.advance(60_000);
    const dispatch = await eventually(async () => stage.executor.dispatches.find(({ runId }) => runId === id));

    const received = await receive(strait, runOf(dispatch));

    expect(payloads(received.body.messages)).toEqual(["early"]);
  });

  test("of a kind that the run does not ask for stays in its place, and in order", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    for (const [name, payload] of [
      ["chat", 1],
      ["stop", 2],
      ["chat", 3],
      ["steer", 4],
    ] as const) {
      await sendMessage(strait, run.id, name, payload);
    }

    const chosen = await receive(strait, run, { names: ["steer", "stop"], max: 10 });
    const rest = await receive(strait, run, { max: 10 });

    expect(payloads(chosen.body.messages)).toEqual([2, 4]);
    expect(payloads(rest.body.messages)).toEqual([1, 3]);
  });

  test("of another kind does not wake the run, and is read later", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await receive(strait, run, { names: ["approved"] });

    const other = await sendMessage(strait, run.id, "chat", "aside");
    const awaited = await sendMessage(strait, run.id, "approved", true);

    expect([other.status, awaited.status]).toEqual([202, 200]);
    const second = await run.dispatch(2);
    expect(payloads(checkpointOf(second).messages)).toEqual([true]);
    expect(payloads((await receive(strait, runOf(second))).body.messages)).toEqual(["aside"]);
  });

  test("GR-07 is one of many that one run serves, each handed out once", async () => {
    const strait = await startServer();
    const served: unknown[] = [];
    const stage = await startStage(strait, async (dispatch) => {
      if (dispatch.headers["x-resume-reason"] === "event") served.push(...payloads(checkpointOf(dispatch).messages));
      if (served.includes("last"))
        return { body: { served: served.length }, headers: { "strait-outcome": "completed" } };
      for (;;) {
        const { body } = await receive(strait, runOf(dispatch), { max: 2 });
        if (body.status === "waiting") return { status: 202 };
        served.push(...payloads(body.messages));
        if (served.includes("last"))
          return { body: { served: served.length }, headers: { "strait-outcome": "completed" } };
      }
    });
    const run = await stage.run();

    for (let n = 1; n <= 20; n++) await sendMessage(strait, run.id, n % 2 === 0 ? "even" : "odd", n);
    await sendMessage(strait, run.id, "stop", "last");

    await run.is("completed");
    expect(served).toEqual([...Array.from({ length: 20 }, (_, n) => n + 1), "last"]);
    expect((await run.read()).result).toEqual({ served: 21 });
  });

  test("S6 to a run that has ended is refused and on record, and what was unread stays readable", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await sendMessage(strait, run.id, "chat", "unread");
    await strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, { token: run.token, body: {} });

    const refused = await sendMessage(strait, run.id, "chat", "too late", { "idempotency-key": "once" });
    const again = await sendMessage(strait, run.id, "chat", "too late", { "idempotency-key": "once" });

    for (const { status, body } of [refused, again]) {
      expect([status, body.error.code, body.error.details.status]).toEqual([409, "run_closed", "completed"]);
    }
    expect(await inboxOf(strait, run.id)).toMatchObject([
      { payload: "unread", disposition: "buffered", received_at: null },
      { payload: "too late", disposition: "late", received_at: null },
    ]);
    expect(payloads(await inboxOf(strait, run.id, "?unread=true"))).toEqual(["unread"]);
    expect(payloads(await inboxOf(strait, run.id, "?unread=false"))).toEqual(["too late"]);
  });

  test("S6 without an Idempotency-Key is a new one each time, and with one exactly one", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const keyed = { "idempotency-key": "once" };

    await sendMessage(strait, run.id, "chat", "again");
    await sendMessage(strait, run.id, "chat", "again");
    const first = await sendMessage(strait, run.id, "chat", "once", keyed);
    await receive(strait, run, { max: 10 });
    const repeated = await sendMessage(strait, run.id, "chat", "once", keyed);
    const other = await sendMessage(strait, run.id, "chat", "another body", keyed);

    expect(repeated).toMatchObject({ status: first.status, body: first.body });
    expect(repeated.headers.get("idempotency-replayed")).toBe("true");
    expect(other).toMatchObject({ status: 422, body: { error: { code: "idempotency_mismatch" } } });
    expect(payloads(await inboxOf(strait, run.id))).toEqual(["again", "again", "once"]);
  });

  test("S6 that woke the run is answered the same when it is repeated, and wakes nobody", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await receive(strait, run);
    const keyed = { "idempotency-key": "once" };

    const first = await sendMessage(strait, run.id, "chat", 1, keyed);
    await receive(strait, runOf(await run.dispatch(2)));
    const repeated = await sendMessage(strait, run.id, "chat", 1, keyed);

    expect([first.status, repeated.status]).toEqual([200, 200]);
    expect(repeated.body).toEqual(first.body);
    expect((await run.read()).status).toBe("waiting");
  });

  test("S6 to a run that nobody knows, or of another project, is 404", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const other = await strait.anotherProject();
    const asOther = { token: other.apiKey };

    const answers = [
      await sendMessage(strait, "run_nobody", "chat", 1),
      await strait.request("POST", `/v1/runs/${run.id}/inbox/chat`, { ...asOther, body: { payload: 1 } }),
      await strait.request("GET", `/v1/runs/${run.id}/inbox`, asOther),
      await strait.request("GET", "/v1/runs/run_nobody/inbox"),
    ];

    expect(answers.map(({ status, body }) => `${status} ${body.error.code}`)).toEqual(
      answers.map(() => "404 not_found"),
    );
    expect(await inboxOf(strait, run.id)).toEqual([]);
  });

  test.each(["a b", "é", "x".repeat(129), "-x", "a/b"])("is not sent under the name %j", async (name) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();

    const refused = await sendMessage(strait, run.id, encodeURIComponent(name), 1);

    expect(refused).toMatchObject({ status: 400, body: { error: { details: { issues: [{ field: "/path/name" }] } } } });
  });
});

describe("the list of an inbox", () => {
  test("has pages and a filter by name, and refuses the cursor of another list", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    for (let n = 1; n <= 5; n++) await sendMessage(strait, run.id, n % 2 === 0 ? "even" : "odd", n);
    const path = `/v1/runs/${run.id}/inbox`;

    const first = await strait.request("GET", `${path}?limit=3`);
    const second = await strait.request("GET", `${path}?limit=3&cursor=${first.body.next_cursor}`);
    const foreign = await strait.request("GET", `${path}?cursor=${Buffer.from("runs:run_1").toString("base64url")}`);

    expect([payloads(first.body.data), payloads(second.body.data)]).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect([first.body.has_more, second.body.has_more]).toEqual([true, false]);
    expect(payloads(await inboxOf(strait, run.id, "?name=even"))).toEqual([2, 4]);
    expect(foreign.status).toBe(400);
  });
});

describe("a run that receives", () => {
  test("GR-08 goes on at its deadline with the reason timeout, or ends, as on_timeout says", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const [resuming, failing] = [await stage.run(), await stage.run()];
    await receive(strait, resuming, { timeout_secs: 60, on_timeout: "resume" });
    await receive(strait, failing, { timeout_secs: 60 });

    await strait.advance(60_000);

    expect((await resuming.dispatch(2)).headers["x-resume-reason"]).toBe("timeout");
    await failing.is("timed_out");
  });

  test("GR-08 never times out when a message came first, and keeps one that came too late for the next receive", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await receive(strait, run, { timeout_secs: 60, on_timeout: "resume" });
    await sendMessage(strait, run.id, "chat", "in time");
    const second = await run.dispatch(2);

    await strait.advance(60_000);
    expect((await run.read()).status).toBe("executing");
    await receive(strait, runOf(second), { timeout_secs: 60, on_timeout: "resume" });
    await strait.advance(60_000);
    const third = await run.dispatch(3);
    const late = await sendMessage(strait, run.id, "chat", "too late for the wait");

    expect(third.headers["x-resume-reason"]).toBe("timeout");
    expect(late).toMatchObject({ status: 202, body: { disposition: "buffered" } });
    expect(payloads((await receive(strait, runOf(third))).body.messages)).toEqual(["too late for the wait"]);
  });

  test("R2 GR-08 is not woken by a message after its deadline, although no sweeper has been", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startStage(strait);
    const started = stage.run();
    await eventually(async () => (await strait.db.query(sql`SELECT FROM run_queue`)).length > 0);
    await strait.tick("dispatch-runs");
    const run = await started;
    await receive(strait, run, { timeout_secs: 60, on_timeout: "resume" });
    await advanceClock(strait.db, 60_000);

    const late = await sendMessage(strait, run.id, "chat", "late");

    expect(late.status).toBe(202);
    await strait.tick("settle-due-waits");
    await strait.tick("dispatch-runs");
    expect((await run.dispatch(2)).headers["x-resume-reason"]).toBe("timeout");
  });

  test("X1 is told the same messages again when its attempt fails behind them", async () => {
    const strait = await startServer();
    const received: unknown[] = [];
    const stage = await startStage(
      strait,
      async (dispatch) => {
        if (dispatch.headers["x-attempt"] !== "1") return { status: 202 };
        received.push((await receive(strait, runOf(dispatch), { max: 2 })).body);
        return { status: 500 };
      },
      { retry_strategy: "fixed", retry_delays_secs: [1], max_attempts: 2 },
    );
    const scheduled_at = new Date(strait.server.context.clock.nowMs() + 60_000).toISOString();
    const { id } = await trigger(strait, stage.jobId, { scheduled_at });
    for (const n of [1, 2, 3]) await sendMessage(strait, id, "chat", n);
    await strait.advance(60_000);
    await eventually(async () => received.length === 1);
    const second = await eventually(async () => {
      await strait.advance(10_000);
      return stage.executor.dispatches.find(({ headers }) => headers["x-attempt"] === "2");
    });

    expect(checkpointOf(second)).toEqual({ messages: (received[0] as { messages: unknown[] }).messages });
    expect(payloads(checkpointOf(second).messages)).toEqual([1, 2]);
    expect(payloads((await receive(strait, runOf(second))).body.messages)).toEqual([3]);
  });

  test("X1 is told the same messages again when its worker is lost behind them", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_DRAIN_TIMEOUT: "100ms" } });
    let isReceived = false;
    const stage = await startStage(strait, async (dispatch) => {
      if (dispatch.headers["x-dispatch"] !== "1") return { status: 202 };
      isReceived = (await receive(strait, runOf(dispatch))).body.status === "received";
      return new Promise(() => {});
    });
    const { id } = await trigger(strait, stage.jobId);
    await sendMessage(strait, id, "chat", "kept");
    await strait.tick("dispatch-runs");
    await eventually(async () => isReceived);
    const other = besides(strait, await startServer({ databaseUrl: strait.databaseUrl, runsEngine: false }));

    await strait.db.query(sql`
      UPDATE leases SET expires_at = strait_now() WHERE id IN (SELECT lease_id FROM runs WHERE status = 'executing')`);
    await other.tick("rescue-runs");
    await other.tick("dispatch-runs");

    const second = await eventually(async () => stage.executor.dispatches[1]);
    expect(second.headers).toMatchObject({ "x-dispatch": "2", "x-attempt": "1", "x-resume-reason": "event" });
    expect(payloads(checkpointOf(second).messages)).toEqual(["kept"]);
  });

  test("is dispatched again with the messages when its code does not look at the answer", async () => {
    const strait = await startServer();
    const stage = await startStage(strait, async (dispatch) => {
      if (dispatch.headers["x-dispatch"] !== "1") return { body: { got: checkpointOf(dispatch) } };
      await sendMessage(strait, dispatch.runId, "chat", "early");
      await receive(strait, runOf(dispatch));
      return { status: 200 };
    });
    const run = await stage.run();

    await run.is("completed");

    expect((await run.read()).result.got.messages).toMatchObject([{ payload: "early" }]);
  });

  test("X1 gets the same messages when it repeats the request, and others when it asks anew", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    for (const n of [1, 2]) await sendMessage(strait, run.id, "chat", n);

    const first = await receive(strait, run, {}, { "idempotency-key": "r1" });
    const repeated = await receive(strait, run, {}, { "idempotency-key": "r1" });
    const next = await receive(strait, run, {}, { "idempotency-key": "r2" });

    expect(repeated.body).toEqual(first.body);
    expect([first, next].map(({ body }) => payloads(body.messages))).toEqual([[1], [2]]);
  });

  test("takes no more at once than a checkpoint should hold", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    for (const size of [900_000, 200_000, 100]) await sendMessage(strait, run.id, "chat", "x".repeat(size));

    const sizes = [];
    for (let n = 0; n < 2; n++) {
      const { body } = await receive(strait, run, { max: 10 });
      sizes.push(payloads(body.messages).map((payload) => String(payload).length));
    }

    expect(sizes).toEqual([[900_000], [200_000, 100]]);
  });

  test("X2 holds no slot while it waits", async () => {
    const strait = await startServer({ env: { WORKER_CONCURRENCY: "2" } });
    const stage = await startStage(strait);

    for (let n = 0; n < 5; n++) await receive(strait, await stage.run());

    await eventually(async () => strait.server.dispatcher.inFlight === 0);
    expect(strait.server.dispatcher.room).toBe(2);
  });

  test("may wait for a key later, and messages then stay in its inbox", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await receive(strait, run);
    await sendMessage(strait, run.id, "chat", 1);
    await waitForEvent(strait, runOf(await run.dispatch(2)), "review:1");

    const aside = await sendMessage(strait, run.id, "chat", 2);
    await send(strait, "review:1", "approved");

    expect(aside.status).toBe(202);
    const third = await run.dispatch(3);
    expect(checkpointOf(third)).toBe("approved");
    expect(payloads((await receive(strait, runOf(third))).body.messages)).toEqual([2]);
  });

  test("is not found by a key, and its wait ends with it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const { body } = await receive(strait, run);

    const sent = await send(strait, body.trigger.event_key, 1);
    await strait.request("DELETE", `/v1/runs/${run.id}`);
    const late = await sendMessage(strait, run.id, "chat", 1);

    expect(sent).toMatchObject({ status: 202, body: { disposition: "buffered" } });
    expect(await historyOf(strait, body.trigger.id)).toEqual(["waiting", "canceled"]);
    expect(late).toMatchObject({ status: 409, body: { error: { code: "run_closed" } } });
  });

  test("may not while it waits, nor after its end, nor by a dispatch that was replaced, nor with two deadlines", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("a");

    const waiting = await receive(strait, run);
    await send(strait, "a", null);
    const { runToken: token } = await run.dispatch(2);
    const replaced = await receive(strait, run);
    const twoEnds = await receive(strait, { id: run.id, token }, { timeout_secs: 1, deadline: "2030-01-01T00:00:00Z" });
    await strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, { token, body: {} });
    const ended = await receive(strait, { id: run.id, token });

    const codes = [waiting, replaced, twoEnds, ended].map(({ status, body }) => `${status} ${body.error.code}`);
    expect(codes).toEqual(["409 illegal_move", "409 stale_dispatch", "400 validation_error", "409 run_closed"]);
  });

  test("K2 a message waits for whoever holds the wait, who may leave it as it is", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await receive(strait, run);
    const lock = await hold(strait, sql`SELECT FROM event_triggers WHERE job_run_id = ${run.id} FOR NO KEY UPDATE`);

    const sending = sendMessage(strait, run.id, "chat", "patient");
    await eventually(async () => (await blockedSessions(strait)) > 0);
    await lock.release();

    expect(await sending).toMatchObject({ status: 200, body: { disposition: "delivered" } });
    expect(payloads(checkpointOf(await run.dispatch(2)).messages)).toEqual(["patient"]);
  });

  test("K2 R7 a message does not wait for whoever holds the run: a wake row stands for the resume", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await receive(strait, run);
    const lock = await hold(strait, sql`SELECT FROM runs WHERE id = ${run.id} FOR NO KEY UPDATE`);

    const sent = await sendMessage(strait, run.id, "chat", "held");

    expect(sent).toMatchObject({ status: 200, body: { disposition: "delivered" } });
    expect((await run.read()).status).toBe("waiting");
    await lock.release();
    expect(payloads(checkpointOf(await run.dispatch(2)).messages)).toEqual(["held"]);
  });
});

describe("the inbox of a run within a workflow", () => {
  test("takes messages while the workflow goes on, and the step completes by them", async () => {
    const strait: TestServer = await startServer();
    const steps = [
      { step_ref: "talk", job_id: "talk" },
      { step_ref: "pause", type: "sleep", sleep_duration: "1m" },
      { step_ref: "end", job_id: "end", depends_on: ["talk", "pause"] },
    ];
    const stage = await startWorkflowStage(strait, steps, {
      async handle(dispatch) {
        if (dispatch.path !== "/talk") return { body: { done: true } };
        if (dispatch.headers["x-resume-reason"] === "event")
          return { body: checkpointOf(dispatch).messages[0].payload };
        await receive(strait, runOf(dispatch));
        return { status: 202 };
      },
    });
    const run = await stage.trigger();
    const { talk } = await run.step("talk", "running");
    await eventually(
      async () => (await strait.request("GET", `/v1/runs/${talk?.job_run_id}`)).body.status === "waiting",
    );
    await strait.advance(60_000);
    await run.step("pause", "completed");

    const sent = await sendMessage(strait, talk?.job_run_id ?? "", "answer", { said: "yes" });

    expect(sent.status).toBe(200);
    await run.is("completed");
    expect((await run.steps()).talk?.output).toEqual({ said: "yes" });
  });
});
