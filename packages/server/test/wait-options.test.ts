import { describe, expect, test } from "vitest";
import { advanceClock } from "./clock.ts";
import { startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const MINUTE_MS = 60_000;
const refusal = (code: string) => ({ status: 409, body: { error: { code } } });
const delivered = { status: 200, body: { disposition: "delivered" } };

const sendPrefix = (strait: TestServer, prefix: string) =>
  strait.request("POST", `/v1/events/prefix/${encodeURIComponent(prefix)}/send`, { body: { payload: 1 } });

const call = (strait: TestServer, run: { id: string; token: string }, operation: string, body: object) =>
  strait.request("POST", `/sdk/v1/runs/${run.id}/${operation}`, { token: run.token, body });

describe("R2 the grace of a wait", () => {
  const options = { timeout_secs: 60, grace_secs: 30, on_timeout: "resume" };

  test("is no part of the deadline that it tells, and an answer within it counts", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", options);

    await strait.advance(80_000);
    const waiting = await eventOf(strait, "k");
    const sent = await send(strait, "k", 1);

    const { requested_at, expires_at, grace_secs } = run.trigger;
    expect([grace_secs, Date.parse(expires_at) - Date.parse(requested_at)]).toEqual([30, MINUTE_MS]);
    expect(waiting.body.status).toBe("waiting");
    expect(sent).toMatchObject(delivered);
    expect((await run.dispatch(2)).headers["x-resume-reason"]).toBe("event");
  });

  test("ends by the clock, not by the sweeper: a send after it is what times the wait out", async () => {
    const strait = await startServer({ runsEngine: false });
    await strait.tick("dispatch-runs");
    const stage = await startStage(strait);
    await stage.parked("k", options);
    await advanceClock(strait.db, 90_000);

    const late = await send(strait, "k", 1);

    expect(late).toMatchObject(refusal("wait_closed"));
    expect((await eventOf(strait, "k")).body.status).toBe("timed_out");
  });

  test("is what the sweeper waits for", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", options);

    await strait.advance(90_000);

    expect((await run.dispatch(2)).headers["x-resume-reason"]).toBe("timeout");
  });

  test("P3 counts for a send to a prefix, for each wait by itself", async () => {
    const strait = await startServer({ runsEngine: false });
    await strait.tick("dispatch-runs");
    const stage = await startStage(strait);
    await stage.parked("job:strict", { timeout_secs: 60 });
    await stage.parked("job:patient", options);
    await advanceClock(strait.db, 80_000);

    const { body } = await sendPrefix(strait, "job:");

    expect(body.triggers).toMatchObject([{ event_key: "job:patient", disposition: "delivered" }]);
    expect(body.skipped).toMatchObject([{ event_key: "job:strict", code: "wait_closed" }]);
  });

  test("R8 is that of the whole group", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const group = { mode: "all", waits: [{ event_key: "a" }, { event_key: "b" }], ...options };
    const opened = await call(strait, run, "wait-for-events", group);

    await strait.advance(80_000);
    const early = await send(strait, "a", 1);
    await strait.advance(10_000);
    const late = await send(strait, "b", 1);

    expect(opened.body.waits).toMatchObject([{ grace_secs: 30 }, { grace_secs: 30 }]);
    expect(early.body.disposition).toBe("recorded");
    expect(late).toMatchObject(refusal("wait_closed"));
    const { headers } = await run.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("timeout");
    expect(JSON.parse(String(headers["x-last-checkpoint"])).results).toMatchObject([
      { status: "received" },
      { status: "timed_out" },
    ]);
  });

  test("is kept when the deadline is changed", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k", options);

    const extended = await strait.request("POST", "/v1/events/k/extend", { body: { timeout_secs: 600 } });
    await strait.advance(620_000);

    expect(extended.body).toMatchObject({ version: 2, grace_secs: 30 });
    expect(await send(strait, "k", 1)).toMatchObject(delivered);
  });

  test("is the same for a step, and for a message to a run", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { step_ref: "w", type: "wait_for_event", event_key: "step", timeout_secs: 60, grace_secs: 30 },
    ]);
    const workflow = await stage.trigger();
    await workflow.step("w", "waiting");
    const run = await (await startStage(strait)).run();
    const received = await call(strait, run, "inbox/receive", options);

    await strait.advance(80_000);
    await send(strait, "step", 1);
    const message = await strait.request("POST", `/v1/runs/${run.id}/inbox/chat`, { body: { payload: 1 } });

    await workflow.is("completed");
    expect(received.body.trigger.grace_secs).toBe(30);
    expect(message.body.disposition).toBe("delivered");
  });
});

describe("B2 of several events that came before, a wait", () => {
  test("takes the newest when it asks for that, and leaves the others for waits to come", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const payload of [1, 2, 3]) await send(strait, "state", payload);
    const runs = [await stage.run(), await stage.run(), await stage.run()];

    const answers = [];
    for (const [index, pick] of ["newest", "oldest", undefined].entries()) {
      answers.push(await runs[index]?.wait("state", { pick }));
    }

    expect(answers.map((answer) => answer?.body.response_payload)).toEqual([3, 1, 2]);
  });

  test("B8 takes the newest that it can take, and makes dead letters only of those that it has met", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const payloads = ["never met", 1, ...Array.from({ length: 25 }, (_, n) => `bad ${n}`)];
    for (const payload of payloads) await send(strait, "state", payload);
    const run = await stage.run();

    const { body } = await run.wait("state", { pick: "newest", payload_schema: { type: "number" } });

    expect(body).toMatchObject({ status: "received", response_payload: 1 });
    const letters = await strait.request("GET", "/v1/event-dead-letters?limit=100");
    expect(letters.body.data).toHaveLength(25);
  });

  test("R8 of a group takes the newest of its key", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    for (const payload of [1, 2]) await send(strait, "a", payload);

    const waits = [{ event_key: "a", pick: "newest" }, { event_key: "b" }];
    const { body } = await call(strait, run, "wait-for-events", { mode: "any", waits });

    expect(body.result).toMatchObject({ winner: "a", results: [{ payload: 2 }, { payload: null }] });
  });

  test("of a step takes those that it asks for: the newest, none, or since the workflow run has started", async () => {
    const strait = await startServer();
    for (const key of ["newest", "none", "since"]) await send(strait, key, "old");
    await send(strait, "newest", "new");
    const wait = { type: "wait_for_event" };
    const stage = await startWorkflowStage(strait, [
      { ...wait, step_ref: "newest", event_key: "newest", pick: "newest" },
      { ...wait, step_ref: "none", event_key: "none", accept_buffered: "none" },
      { ...wait, step_ref: "since", event_key: "since", accept_buffered: "since_run_start" },
      { ...wait, step_ref: "later", event_key: "later", accept_buffered: "since_run_start", depends_on: ["none"] },
    ]);
    const run = await stage.trigger();
    const steps = await run.step("newest", "completed");

    await send(strait, "later", "in time");
    await send(strait, "none", "answer");

    expect(steps.newest?.output).toBe("new");
    expect((await run.step("later", "completed")).later?.output).toBe("in time");
    expect(await run.statuses()).toMatchObject({ none: "completed", since: "waiting" });
  });
});

describe("R5 what it means for a workflow that a wait was called off", () => {
  const graph = (policies: object) => [
    { step_ref: "review", type: "wait_for_event", event_key: "review:1", ...policies },
    {
      step_ref: "publish",
      job_id: "publish",
      payload: { why: "{{parent_outputs.review.cancellation.reason}}" },
      depends_on: ["review"],
      event_emit_key: "published:{{parent_outputs.review.cancellation.kind}}",
    },
    { step_ref: "other", type: "sleep", sleep_duration: "1s" },
  ];

  const cancel = (strait: TestServer) => strait.request("DELETE", "/v1/events/review%3A1?reason=withdrawn");

  test.each([
    ["fail", "continue", "failed", { review: "failed", publish: "canceled" }],
    ["skip_dependents", "fail_workflow", "completed", { review: "failed", publish: "skipped" }],
    ["continue", "fail_workflow", "completed", { review: "failed", publish: "completed" }],
  ])("is what on_cancel %s says, whatever on_failure (%s) does", async (on_cancel, on_failure, status, steps) => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, graph({ on_cancel, on_failure }));
    const run = await stage.trigger();
    await run.step("review", "waiting");

    const canceled = await cancel(strait);
    await strait.advance(1_000);

    await run.is(status);
    expect(canceled.body.on_cancel).toBe(on_cancel);
    expect(await run.statuses()).toMatchObject(steps);
    expect((await run.steps()).review).toMatchObject({
      error: expect.stringContaining("withdrawn"),
      cancellation: canceled.body.cancellation,
    });
  });

  test("is told to those behind it under continue: who did it and why, in place of the output", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, graph({ on_cancel: "continue" }));
    const run = await stage.trigger();
    await run.step("review", "waiting");

    const reject = { reason: "blurred", details: { page: 3 } };
    const { body } = await strait.request("POST", "/v1/events/review%3A1/reject", { body: reject });
    await run.step("publish", "completed");

    const cancellation = { kind: "rejected", ...reject, actor: expect.stringMatching(/^apikey:/) };
    expect(body.cancellation).toEqual(cancellation);
    expect(stage.dispatchesTo("publish")[0]?.body).toEqual({
      why: "blurred",
      parent_outputs: { review: { cancellation } },
    });
    const run2 = await (await startStage(strait)).run();
    await strait.tick("emit-due-events");
    expect((await run2.wait("published:rejected")).body.status).toBe("received");
  });

  test("is on_failure's where on_cancel is absent, and says nothing of a timeout", async () => {
    const strait = await startServer();
    const absent = await startWorkflowStage(strait, graph({ on_failure: "skip_dependents" }), { slug: "absent" });
    const first = await absent.trigger();
    await first.step("review", "waiting");
    await cancel(strait);
    await first.step("publish", "skipped");
    const steps = graph({ on_cancel: "continue" }).filter(({ step_ref }) => step_ref !== "publish");
    const timed = await startWorkflowStage(strait, steps, { slug: "timed" });
    const second = await timed.trigger();
    await second.step("review", "waiting");

    await strait.advance(3_600_000);

    await second.is("failed");
    expect((await second.steps()).review).toMatchObject({ cancellation: null });
  });

  test("U2 is the same for a wait that another one has replaced", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, graph({ on_cancel: "skip_dependents" }));
    const run = await stage.trigger();
    await run.step("review", "waiting");

    const replacing = await (await startStage(strait)).run();
    await replacing.wait("review:1", { on_conflict: "replace" });

    await run.step("publish", "skipped");
    expect((await run.steps()).review).toMatchObject({ cancellation: { kind: "superseded" } });
  });
});

describe("section 6: on_timeout resolve", () => {
  const RESOLVE = { timeout_secs: 60, on_timeout: "resolve", timeout_payload: { approved: false } };

  test("R8 of a group dispatches the run again with the payload in place of the result", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const waits = [{ event_key: "a" }, { event_key: "b" }];
    await call(strait, run, "wait-for-events", { mode: "all", waits, ...RESOLVE });
    await send(strait, "a", 1);

    await strait.advance(MINUTE_MS);

    const { headers } = await run.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("timeout");
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual(RESOLVE.timeout_payload);
    expect((await eventOf(strait, "b")).body.status).toBe("timed_out");
  });

  test("of a receive dispatches the run again with the payload in place of messages", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    await call(strait, run, "inbox/receive", RESOLVE);

    await strait.advance(MINUTE_MS);

    const { headers } = await run.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("timeout");
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual(RESOLVE.timeout_payload);
  });

  test.each([
    ["without a payload", { on_timeout: "resolve" }, "required"],
    ["with a payload that nothing needs", { timeout_payload: 1 }, "onlyWithResolve"],
  ])("%s is refused by both, and the run executes on", async (_, options, rule) => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();

    const refused = [
      await call(strait, run, "wait-for-events", { mode: "any", waits: [{ event_key: "a" }], ...options }),
      await call(strait, run, "inbox/receive", options),
    ];

    const issues = [{ field: "/timeout_payload", rule }];
    expect(refused).toMatchObject([400, 400].map((status) => ({ status, body: { error: { details: { issues } } } })));
    expect((await run.read()).status).toBe("executing");
  });
});
