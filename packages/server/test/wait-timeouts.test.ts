import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { eventually, startServer } from "./server.ts";
import { eventOf, hold, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const HOUR_MS = 3_600_000;
const RESOLVE = { on_timeout: "resolve", timeout_payload: { approved: false, by: "nobody" } } as const;

describe("on_timeout resolve", () => {
  test("section 6: of a run dispatches it again with the payload as its checkpoint; the trigger is timed_out", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", RESOLVE);
    expect(run.trigger).toMatchObject({ ...RESOLVE, response_payload: null });

    await strait.advance(HOUR_MS);

    const { headers } = await run.dispatch(2);
    expect(headers).toMatchObject({ "x-resume-reason": "timeout", "x-attempt": "1" });
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual(RESOLVE.timeout_payload);
    expect((await eventOf(strait, "review:1")).body).toMatchObject({
      status: "timed_out",
      response_payload: RESOLVE.timeout_payload,
      received_at: null,
      sent_by: null,
      error: "event trigger timed out",
    });
    expect((await send(strait, "review:1", RESOLVE.timeout_payload)).body.error.code).toBe("wait_closed");
  });

  test("section 6: is forgotten when an event came first", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", RESOLVE);

    await send(strait, "review:1", { approved: true });
    await strait.advance(HOUR_MS);

    const { headers } = await run.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("event");
    expect((await eventOf(strait, "review:1")).body).toMatchObject({
      status: "received",
      response_payload: { approved: true },
    });
  });

  test("R2 R7: has the payload also when a late send is what notices, and when somebody holds the run meanwhile", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", { ...RESOLVE, timeout_payload: null });
    const holder = await hold(strait, sql`SELECT 1 FROM runs WHERE id = ${run.id} FOR UPDATE`);
    await advanceClock(strait.db, HOUR_MS);

    expect((await send(strait, "review:1", 1)).status).toBe(409);
    await holder.release();

    const { headers } = await run.dispatch(2);
    expect([headers["x-resume-reason"], headers["x-last-checkpoint"]]).toEqual(["timeout", "null"]);
  });

  test.each([
    ["without a payload", { on_timeout: "resolve" }, "required"],
    ["with a payload that breaks the schema", { ...RESOLVE, payload_schema: { type: "string" } }, "type"],
    ["with a payload that nothing needs", { timeout_payload: 1 }, "onlyWithResolve"],
  ])("%s is refused, for a run and for a step", async (_, options, rule) => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const steps = [{ step_ref: "w", type: "wait_for_event", event_key: "k", ...options }];

    const refused = [
      await run.wait("k", options),
      await strait.request("POST", "/v1/workflows", { body: { name: "W", slug: "w", steps } }),
    ];

    expect(refused.map(({ status, body }) => [status, body.error.details.issues])).toMatchObject([
      [400, [{ field: "/timeout_payload", rule }]],
      [400, [{ field: "/steps/0/timeout_payload", rule }]],
    ]);
  });

  test("ST-18 of a step completes it with the payload as its output, which goes on and is emitted", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { step_ref: "review", type: "wait_for_event", event_key: "review:1", event_emit_key: "decided", ...RESOLVE },
      { step_ref: "tell", job_id: "tell", payload: { by: "{{parent_outputs.review.by}}" }, depends_on: ["review"] },
    ]);
    const run = await stage.trigger();

    await strait.advance(HOUR_MS);

    await run.is("completed");
    expect((await run.steps()).review).toMatchObject({
      status: "completed",
      timed_out: true,
      output: RESOLVE.timeout_payload,
      error: null,
    });
    expect(stage.dispatchesTo("tell")[0]?.body).toMatchObject({ by: "nobody" });
    await eventually(async () => {
      const [event] = await strait.db.query<{ payload: object }>(sql`
        SELECT payload::json AS payload FROM sends WHERE event_key = 'decided'`);
      return event !== undefined && JSON.stringify(event.payload) === JSON.stringify(RESOLVE.timeout_payload);
    });
  });
});

describe("ST-18 the timeout of a step", () => {
  const graph = (policies: object) => [
    { step_ref: "review", type: "wait_for_event", event_key: "review:1", ...policies },
    { step_ref: "publish", job_id: "publish", depends_on: ["review"] },
    { step_ref: "other", job_id: "other" },
  ];

  test.each([
    ["fail", "continue", "failed", { review: "failed", publish: "canceled", other: "completed" }],
    ["skip_dependents", "fail_workflow", "completed", { review: "failed", publish: "skipped", other: "completed" }],
    ["continue", "fail_workflow", "completed", { review: "failed", publish: "completed", other: "completed" }],
  ])("under on_timeout %s does so, whatever on_failure (%s) says", async (on_timeout, on_failure, status, steps) => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, graph({ on_timeout, on_failure }));
    const run = await stage.trigger();
    await run.step("other", "completed");

    await strait.advance(HOUR_MS);

    await run.is(status);
    expect(await run.statuses()).toEqual(steps);
    expect((await run.steps()).review).toMatchObject({ timed_out: true, error: "event trigger timed out" });
  });

  test("follows on_failure where on_timeout is absent, and on_timeout says nothing of a cancellation", async () => {
    const strait = await startServer();
    const absent = await startWorkflowStage(strait, graph({ on_failure: "continue" }), { slug: "absent" });
    const first = await absent.trigger();
    await first.step("other", "completed");
    await strait.advance(HOUR_MS);
    await first.is("completed");
    expect(await first.statuses()).toMatchObject({ review: "failed", publish: "completed" });
    const steps = graph({ on_timeout: "continue" }).map(({ job_id, ...step }: Record<string, unknown>) =>
      job_id === undefined ? step : { ...step, type: "sleep", sleep_duration: "1h" },
    );
    const canceled = await startWorkflowStage(strait, steps, { slug: "canceled" });
    const second = await canceled.trigger();

    await strait.request("DELETE", "/v1/events/review%3A1");

    await second.is("failed");
    expect((await second.steps()).review).toMatchObject({ timed_out: false });
  });
});

describe("GR-08 a wait with a timeout_step", () => {
  const graph = (depends_on: string[]) => [
    {
      step_ref: "approval",
      type: "wait_for_event",
      event_key: "approval:1",
      on_timeout: "step",
      timeout_step: "auto-approve",
    },
    { step_ref: "publish", job_id: "publish", depends_on: ["approval"] },
    { step_ref: "auto-approve", job_id: "auto-approve", depends_on },
    { step_ref: "report", job_id: "report", depends_on: ["auto-approve"] },
  ];

  test.each([[["approval"]], [[]]])(
    "runs that step, and what is behind it, when the timeout has come (depends_on %j)",
    async (depends_on) => {
      const strait = await startServer();
      const stage = await startWorkflowStage(strait, graph(depends_on));
      const run = await stage.trigger();
      expect(await run.statuses()).toMatchObject({ approval: "waiting", "auto-approve": "pending" });

      await strait.advance(HOUR_MS);

      await run.is("completed");
      expect(await run.statuses()).toEqual({
        approval: "failed",
        publish: "skipped",
        "auto-approve": "completed",
        report: "completed",
      });
      expect((await run.steps())["auto-approve"]).toMatchObject({ depends_on: ["approval"] });
    },
  );

  test("never runs it when an event came first", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, graph([]));
    const run = await stage.trigger();

    await send(strait, "approval:1", { ok: true });
    await strait.advance(HOUR_MS);

    await run.is("completed");
    expect(await run.statuses()).toEqual({
      approval: "completed",
      publish: "completed",
      "auto-approve": "skipped",
      report: "skipped",
    });
    expect(stage.dispatchesTo("auto-approve")).toEqual([]);
  });

  test("never runs it when an event was there before the wait, nor when the wait is canceled", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, graph([]));
    await send(strait, "approval:1", { ok: true });
    await (await stage.trigger()).is("completed");
    const canceled = await stage.trigger();

    await strait.request("DELETE", "/v1/events/approval%3A1");

    await canceled.is("failed");
    expect(stage.dispatchesTo("auto-approve")).toEqual([]);
  });

  test.each([
    ["no step is named", { on_timeout: "step" }, "required"],
    ["there is no such step", { on_timeout: "step", timeout_step: "nobody" }, "knownStep"],
    ["it names itself", { on_timeout: "step", timeout_step: "w" }, "knownStep"],
    ["nothing asks for it", { on_timeout: "continue", timeout_step: "other" }, "onlyWithStep"],
  ])("is refused when %s", async (_, policies, rule) => {
    const strait = await startServer();
    const sleep = { type: "sleep", sleep_duration: "1s" };
    const steps = [
      { step_ref: "w", type: "wait_for_event", event_key: "k", ...policies },
      { step_ref: "other", ...sleep },
    ];

    const refused = await strait.request("POST", "/v1/workflows", { body: { name: "W", slug: "w", steps } });

    expect(refused).toMatchObject({
      status: 400,
      body: { error: { details: { issues: [{ field: "/steps/0/timeout_step", rule }] } } },
    });
  });

  test("is refused when it would close a cycle", async () => {
    const strait = await startServer();
    const steps = [
      { step_ref: "a", type: "sleep", sleep_duration: "1s" },
      {
        step_ref: "w",
        type: "wait_for_event",
        event_key: "k",
        depends_on: ["a"],
        on_timeout: "step",
        timeout_step: "a",
      },
    ];

    const refused = await strait.request("POST", "/v1/workflows", { body: { name: "W", slug: "w", steps } });

    expect(refused.status).toBe(400);
    expect(refused.body.error.message).toContain("cycle");
  });
});
