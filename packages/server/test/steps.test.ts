import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowRun, startWorkflowStage } from "./workflow-stage.ts";

const HOUR_MS = 3_600_000;

/** 400 is not worth another attempt: the step fails at once. */
const failing = { status: 400, body: { reason: "no" } };

describe("a job step", () => {
  test("U6 gets its payload filled with values of their own type, over the workflow's payload", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(
      strait,
      [
        { step_ref: "first", job_id: "first" },
        {
          step_ref: "second",
          job_id: "second",
          depends_on: ["first"],
          payload: {
            score: "{{parent_outputs.first.score}}",
            all: "{{parent_outputs.first}}",
            user: { id: "{{payload.user.id}}", label: "user {{payload.user.id}}, {{parent_outputs.first.score}}" },
            list: ["{{payload.flags}}", "{{step_ref}}"],
            kept: 1,
          },
        },
      ],
      { handle: () => ({ body: { score: 0.05, hits: [] } }) },
    );

    const run = await stage.trigger({ user: { id: 7 }, flags: [true, null], kept: 0, untouched: "yes" });
    await run.is("completed");

    const [second] = stage.dispatchesTo("second");
    expect(second?.body).toEqual({
      score: 0.05,
      all: { score: 0.05, hits: [] },
      user: { id: 7, label: "user 7, 0.05" },
      list: [[true, null], "second"],
      kept: 1,
      flags: [true, null],
      untouched: "yes",
      parent_outputs: { first: { score: 0.05, hits: [] } },
    });
  });

  test("U6 fails, naming the placeholder, when it has no value", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { step_ref: "charge", job_id: "charge", payload: { amount: { value: "{{payload.order.total}}" } } },
    ]);

    const run = await stage.trigger({ order: { id: 1 } });

    expect((await run.is("failed")).error).toContain('step "charge" failed');
    const { charge } = await run.steps();
    expect(charge).toMatchObject({ status: "failed", job_run_id: null });
    expect(charge?.error).toContain("/payload/amount/value");
    expect(charge?.error).toContain("{{payload.order.total}}");
    expect(stage.executor.dispatches).toEqual([]);
  });

  test("is one step however often its run is tried", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(
      strait,
      [
        { step_ref: "flaky", job_id: "flaky" },
        { step_ref: "next", job_id: "next", depends_on: ["flaky"] },
      ],
      {
        handle: ({ path, headers }) =>
          path === "/flaky" && headers["x-attempt"] !== "3" ? { status: 503 } : { body: { by: headers["x-attempt"] } },
        job: { max_attempts: 3, retry_strategy: "fixed", retry_delays_secs: [1] },
      },
    );
    const run = await stage.trigger();
    for (const count of [1, 2]) {
      await stage.executor.received(count);
      await untilTriedAgain(strait, count + 1);
      expect(await run.statuses()).toEqual({ flaky: "running", next: "pending" });
      await strait.advance(60_000);
    }

    await run.is("completed");

    expect(stage.dispatchesTo("flaky").map(({ headers }) => headers["x-attempt"])).toEqual(["1", "2", "3"]);
    expect(stage.dispatchesTo("next")).toHaveLength(1);
    expect(await run.steps()).toMatchObject({ flaky: { status: "completed", attempt: 1, output: { by: "3" } } });
  });

  test("fails when its job is disabled, and says so", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [{ step_ref: "only", job_id: "only" }]);
    await strait.request("PATCH", "/v1/jobs/only", { body: { enabled: false } });

    const run = await stage.trigger();

    expect((await run.is("failed")).error).toContain("is disabled");
  });

  test("fails when its run is canceled", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [{ step_ref: "only", job_id: "only" }], {
      handle: () => ({ status: 202 }),
    });
    const run = await stage.trigger();
    const [dispatch] = await stage.executor.received(1);

    await strait.request("DELETE", `/v1/runs/${dispatch?.runId}?reason=wrong`);

    expect((await run.is("failed")).error).toBe('step "only" failed: run canceled: wrong');
  });
});

/** Resolves when the run that failed waits for the given attempt. */
async function untilTriedAgain(strait: TestServer, attempt: number): Promise<void> {
  await eventually(async () => {
    const rows = await strait.db.query(sql`SELECT FROM runs WHERE status = 'queued' AND attempt = ${attempt}`);
    return rows.length > 0;
  });
}

describe("a wait step", () => {
  const wait = { step_ref: "wait", type: "wait_for_event", event_key: "gate:{{payload.id}}" };

  test("ST-02 ST-03 opens on the key filled from the payload, when its dependencies have finished", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(
      strait,
      [
        { step_ref: "slow", job_id: "slow" },
        { ...wait, depends_on: ["slow"], timeout_secs: 86_400, notify_url: "https://myapp.example/ready" },
      ],
      { handle: () => ({ status: 202 }) },
    );
    const run = await stage.trigger({ id: "user-456" });
    const [slow] = await stage.executor.received(1);
    expect((await eventOf(strait, "gate:user-456")).status).toBe(404);

    const path = `/sdk/v1/runs/${slow?.runId}/complete`;
    await strait.request("POST", path, { token: slow?.runToken ?? "", body: { result: 1 } });
    const steps = await run.step("wait", "waiting");

    expect((await eventOf(strait, "gate:user-456")).body).toMatchObject({
      id: steps.wait?.event_trigger_id,
      status: "waiting",
      source_type: "workflow_step",
      workflow_run_id: run.id,
      workflow_step_run_id: steps.wait?.id,
      timeout_secs: 86_400,
      notify_status: "pending",
    });
  });

  test("U6 fills its key from the outputs of steps that have finished", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(
      strait,
      [
        { step_ref: "order", job_id: "order" },
        { ...wait, event_key: "order:{{parent_outputs.order.id}}", depends_on: ["order"] },
      ],
      { handle: () => ({ body: { id: 17 } }) },
    );

    const run = await stage.trigger();
    await run.step("wait", "waiting");

    expect((await send(strait, "order:17", "paid")).body.disposition).toBe("delivered");
    await run.is("completed");
  });

  test.each([
    ["has no value", {}, "{{payload.id}}"],
    ["makes a key with a control character", { id: "a\nb" }, "what the event_key makes is no key: remove line breaks"],
    [
      "makes a key that is too long",
      { id: "x".repeat(600) },
      "what the event_key makes is no key: use at most 512 characters",
    ],
  ])("U6 fails, and waits on nothing, when its key %s", async (_, payload, why) => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [wait]);

    const run = await stage.trigger(payload);

    await run.is("failed");
    expect((await run.steps()).wait?.error).toContain(why);
    expect(await strait.db.query(sql`SELECT FROM event_triggers`)).toEqual([]);
  });

  test("B1 B2 takes an event that was there before, and its dependents start in the same transaction", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [wait, { step_ref: "next", job_id: "next", depends_on: ["wait"] }]);
    await send(strait, "gate:1", { early: true });

    const run = await stage.trigger({ id: 1 });

    expect(await run.steps()).toMatchObject({ wait: { status: "completed", output: { early: true } } });
    await run.is("completed");
    expect(stage.dispatchesTo("next")[0]?.body).toMatchObject({ parent_outputs: { wait: { early: true } } });
  });

  test("U1 fails when its key is in use, and names who waits", async () => {
    const strait = await startServer();
    const runs = await startStage(strait);
    const owner = await runs.parked("gate:1");
    const stage = await startWorkflowStage(strait, [wait]);

    const run = await stage.trigger({ id: 1 });

    await run.is("failed");
    expect((await run.steps()).wait).toMatchObject({ status: "failed", error: expect.stringContaining(owner.id) });
    expect((await eventOf(strait, "gate:1")).body).toMatchObject({ id: owner.trigger.id, status: "waiting" });
  });

  test("without timeout_secs waits an hour, and with null for ever", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { ...wait, event_key: "hour", on_failure: "continue" },
      { ...wait, step_ref: "ever", event_key: "ever", timeout_secs: null },
    ]);
    const run = await stage.trigger();

    await strait.advance(HOUR_MS);

    await run.step("wait", "failed");
    await strait.advance(1_000 * HOUR_MS);
    expect((await eventOf(strait, "ever")).body).toMatchObject({ status: "waiting", expires_at: null });
    await send(strait, "ever", null);
    await run.is("completed");
  });
});

describe("ST-18 on_failure", () => {
  const steps = (on_failure?: string) => [
    {
      step_ref: "gate",
      type: "wait_for_event",
      event_key: "gate",
      timeout_secs: 60,
      ...(on_failure && { on_failure }),
    },
    { step_ref: "behind", job_id: "behind", depends_on: ["gate"] },
    { step_ref: "far", job_id: "far", depends_on: ["behind"] },
    { step_ref: "branch", job_id: "branch" },
    { step_ref: "tip", job_id: "tip", depends_on: ["branch"] },
  ];

  test.each([undefined, "fail_workflow"])("%s fails the workflow run when a wait times out", async (on_failure) => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, steps(on_failure));
    const run = await stage.trigger();
    await run.step("tip", "completed");

    await strait.advance(60_000);

    expect((await run.is("failed")).error).toBe('step "gate" failed: event trigger timed out');
    expect(await run.statuses()).toEqual({
      gate: "failed",
      behind: "canceled",
      far: "canceled",
      branch: "completed",
      tip: "completed",
    });
  });

  test("skip_dependents skips what is behind the step, and lets other branches go on", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, steps("skip_dependents"));
    const run = await stage.trigger();

    await strait.advance(60_000);

    await run.is("completed");
    expect(await run.statuses()).toEqual({
      gate: "failed",
      behind: "skipped",
      far: "skipped",
      branch: "completed",
      tip: "completed",
    });
    expect(stage.dispatchesTo("behind")).toEqual([]);
  });

  test("continue starts the dependents, without an output of the step", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, steps("continue"));
    const run = await stage.trigger({ id: 1 });

    await strait.advance(60_000);

    await run.is("completed");
    expect(await run.statuses()).toMatchObject({ gate: "failed", behind: "completed", far: "completed" });
    expect(stage.dispatchesTo("behind")[0]?.body).toEqual({ id: 1 });
  });

  test.each([
    ["fail_workflow", "failed", { job: "failed", next: "canceled" }],
    ["skip_dependents", "completed", { job: "failed", next: "skipped" }],
    ["continue", "completed", { job: "failed", next: "completed" }],
  ])("%s after a job that failed leaves the run %s", async (on_failure, status, statuses) => {
    const strait = await startServer();
    const stage = await startWorkflowStage(
      strait,
      [
        { step_ref: "job", job_id: "job", on_failure },
        { step_ref: "next", job_id: "next", depends_on: ["job"] },
      ],
      { handle: ({ path }) => (path === "/job" ? failing : { body: 1 }) },
    );

    const run = await stage.trigger();

    await run.is(status);
    expect(await run.statuses()).toEqual(statuses);
  });

  test("fail_workflow cancels what still runs: jobs, waits and sleeps", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(
      strait,
      [
        { step_ref: "bad", type: "wait_for_event", event_key: "bad" },
        { step_ref: "job", job_id: "job" },
        { step_ref: "wait", type: "wait_for_event", event_key: "other" },
        { step_ref: "sleep", type: "sleep", sleep_duration: "1h" },
      ],
      { handle: () => ({ status: 202 }) },
    );
    const run = await stage.trigger();
    const [job] = await stage.executor.received(1);

    await strait.request("DELETE", "/v1/events/bad");

    await run.is("failed");
    expect(await run.statuses()).toEqual({ bad: "failed", job: "canceled", wait: "canceled", sleep: "canceled" });
    expect((await strait.request("GET", `/v1/runs/${job?.runId}`)).body.status).toBe("canceled");
    expect(await strait.db.query(sql`SELECT FROM event_triggers WHERE status = 'waiting'`)).toEqual([]);
  });
});

describe("a sleep step", () => {
  test("ST-09 ends at its time, to the second, and not before", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { step_ref: "sleep", type: "sleep", sleep_duration: "24h" },
      { step_ref: "next", job_id: "next", depends_on: ["sleep"] },
    ]);
    const run = await stage.trigger();

    await strait.advance(24 * HOUR_MS - 10_000);
    expect((await run.statuses()).sleep).toBe("waiting");
    await strait.advance(10_000);

    await run.is("completed");
    expect((await run.steps()).sleep?.output).toEqual({
      slept_for_secs: 86_400,
      completed_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
  });

  test("is not addressed by a key: nobody can send to it, and two runs sleep at once", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [{ step_ref: "sleep", type: "sleep", sleep_duration: "1h" }]);
    const run = await stage.trigger();
    const other = await startWorkflowRun(strait, "staged");

    const sent = await send(strait, `sleep:${run.id}:sleep`, "wake up", { if_no_waiter: "fail" });

    expect(sent.status).toBe(404);
    expect([await run.statuses(), await other.statuses()]).toEqual([{ sleep: "waiting" }, { sleep: "waiting" }]);
  });
});
