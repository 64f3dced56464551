import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { besides, eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage, type WorkflowStageOptions } from "./workflow-stage.ts";

/** Pattern 3 of the guide, character by character. */
const dataProcessing = `{
"steps": [
{
"step_ref": "process-batch",
"job_id": "job_process",
"event_emit_key": "batch-done:{{payload.batch_id}}"
}
]
}`;
const aggregation = `{
"steps": [
{
"step_ref": "wait-for-batch",
"type": "wait_for_event",
"event_key": "batch-done:{{payload.batch_id}}"
},
{
"step_ref": "aggregate",
"job_id": "job_aggregate",
"depends_on": ["wait-for-batch"]
}
]
}`;

const RESULT = { rows: 1_000, checksum: 12_345_678 };

const startEmitter = (strait: TestServer, options: WorkflowStageOptions = {}) =>
  startWorkflowStage(strait, JSON.parse(dataProcessing).steps, {
    slug: "data-processing",
    handle: () => ({ body: RESULT }),
    ...options,
  });
const startWaiter = (strait: TestServer) =>
  startWorkflowStage(strait, JSON.parse(aggregation).steps, { slug: "aggregation" });

function eventsOf(strait: TestServer): Promise<object[]> {
  return strait.db.query(sql`
    SELECT event_key, disposition, channel, actor, payload::json AS payload FROM sends ORDER BY created_at, id`);
}

/** Resolves when nothing is left to emit. */
async function emitted(strait: TestServer): Promise<void> {
  await eventually(async () => (await strait.db.query(sql`SELECT 1 FROM step_runs WHERE emit_due`)).length === 0);
}

describe("pattern 3: a step that emits an event", () => {
  test("ST-08 B5 W1 resumes a workflow that waits, with its output and no HTTP call between them", async () => {
    const strait = await startServer();
    const [emitter, waiter] = [await startEmitter(strait), await startWaiter(strait)];
    const waiting = await waiter.trigger({ batch_id: "b-42" });
    await waiting.step("wait-for-batch", "waiting");

    const emitting = await emitter.trigger({ batch_id: "b-42" });

    await waiting.is("completed");
    expect((await waiting.steps())["wait-for-batch"]?.output).toEqual(RESULT);
    expect(waiter.dispatchesTo("job_aggregate").map(({ body }) => body)).toEqual([
      { batch_id: "b-42", parent_outputs: { "wait-for-batch": RESULT } },
    ]);
    expect(await eventsOf(strait)).toEqual([
      {
        event_key: "batch-done:b-42",
        disposition: "delivered",
        channel: "emit",
        actor: `workflow_run:${emitting.id}`,
        payload: RESULT,
      },
    ]);
    expect((await eventOf(strait, "batch-done:b-42")).body.sent_by).toBe(`workflow_run:${emitting.id}`);
  });

  test("ST-08 ST-S1 B1 B2 is not too early for a workflow that waits later", async () => {
    const strait = await startServer();
    const [emitter, waiter] = [await startEmitter(strait), await startWaiter(strait)];
    const emitting = await emitter.trigger({ batch_id: "b-42" });
    await emitting.is("completed");
    await emitted(strait);
    expect(await eventsOf(strait)).toMatchObject([{ event_key: "batch-done:b-42", disposition: "buffered" }]);

    const waiting = await waiter.trigger({ batch_id: "b-42" });

    await waiting.is("completed");
    expect((await waiting.steps())["wait-for-batch"]?.output).toEqual(RESULT);
    expect(waiter.dispatchesTo("job_aggregate")).toHaveLength(1);
  });

  test("ST-08 ST-S10 resumes a run that waits, with its output as the checkpoint", async () => {
    const strait = await startServer();
    const [emitter, stage] = [await startEmitter(strait), await startStage(strait)];
    const run = await stage.parked("batch-done:b-42");

    await emitter.trigger({ batch_id: "b-42" });

    const resumed = await run.dispatch(2);
    expect(resumed.headers["x-resume-reason"]).toBe("event");
    expect(JSON.parse(String(resumed.headers["x-last-checkpoint"]))).toEqual(RESULT);
    expect((await run.read()).checkpoint).toEqual(RESULT);
  });

  test("ST-08 ST-S1 ST-S10 is not too early for a run that waits later", async () => {
    const strait = await startServer();
    const [emitter, stage] = [await startEmitter(strait), await startStage(strait)];
    await (await emitter.trigger({ batch_id: "b-42" })).is("completed");
    await emitted(strait);

    const run = await stage.run();
    const wait = await run.wait("batch-done:b-42");

    expect(wait.body).toMatchObject({ status: "received", response_payload: RESULT });
    expect((await run.read()).checkpoint).toEqual(RESULT);
  });
});

describe("an emitted event", () => {
  test("ST-08 comes from steps of every type, whichever way they complete", async () => {
    const strait = await startServer();
    await send(strait, "early", { n: 1 });
    const stage = await startWorkflowStage(strait, [
      { step_ref: "early", type: "wait_for_event", event_key: "early", event_emit_key: "e:early" },
      {
        step_ref: "late",
        type: "wait_for_event",
        event_key: "late",
        depends_on: ["early"],
        event_emit_key: "e:{{step_ref}}",
      },
      {
        step_ref: "sleep",
        type: "sleep",
        sleep_duration: "1h",
        depends_on: ["late"],
        event_emit_key: "e:{{parent_outputs.late.n}}",
      },
      { step_ref: "job", job_id: "job", depends_on: ["sleep"], event_emit_key: "e:{{parent_outputs.job.done}}" },
    ]);
    const run = await stage.trigger();
    await run.step("late", "waiting");

    await send(strait, "late", { n: 2 });
    await run.step("sleep", "waiting");
    await strait.advance(3_600_000);
    await run.is("completed");
    await emitted(strait);

    const own = (await eventsOf(strait)).filter((event) => "channel" in event && event.channel === "emit");
    expect(own).toMatchObject([
      { event_key: "e:early", payload: { n: 1 } },
      { event_key: "e:late", payload: { n: 2 } },
      { event_key: "e:2", payload: { slept_for_secs: expect.any(Number) } },
      { event_key: "e:job", payload: { done: "job" } },
    ]);
  });

  test("ST-08 is named in the workflow's steps", async () => {
    const strait = await startServer();
    const { steps } = JSON.parse(dataProcessing);
    await startEmitter(strait);

    const workflow = await strait.request("GET", "/v1/workflows/data-processing");

    expect(workflow.body.steps).toMatchObject([{ event_emit_key: steps[0].event_emit_key }]);
  });

  test("ST-08 does not come from a step that failed", async () => {
    const strait = await startServer();
    const emitter = await startEmitter(strait, { handle: () => ({ status: 400 }), job: { max_attempts: 1 } });

    const run = await emitter.trigger({ batch_id: "b-42" });

    await run.is("failed");
    await strait.tick("emit-due-events");
    expect(await eventsOf(strait)).toEqual([]);
    expect((await run.steps())["process-batch"]).toMatchObject({ status: "failed", emit_error: null });
  });

  test.each([
    ["a placeholder has no value", {}, "event_emit_key cannot be filled: {{payload.batch_id}} has no value"],
    [
      "its key would be too long",
      { batch_id: "x".repeat(600) },
      "event_emit_key makes is no key: use at most 512 characters",
    ],
  ])("U6 ST-S9 that has no key because %s leaves its step completed, and is told", async (_, payload, message) => {
    const strait = await startServer();
    const emitter = await startEmitter(strait);

    const run = await emitter.trigger(payload);

    await run.is("completed");
    await emitted(strait);
    const { "process-batch": step } = await run.steps();
    expect(step).toMatchObject({ status: "completed", error: null, emit_error: expect.stringContaining(message) });
    const log = await strait.db.query(sql`
      SELECT level, message FROM changes WHERE subject_id = ${step?.id ?? ""} AND kind = 'log'`);
    expect(log).toEqual([{ level: "warn", message: expect.stringContaining(message) }]);
    expect(await eventsOf(strait)).toEqual([]);
  });

  test("S1 B3 that comes too late is refused as any other, and told", async () => {
    const strait = await startServer();
    const [emitter, stage] = [await startEmitter(strait), await startStage(strait)];
    for (const [batch, payload] of [
      ["equal", RESULT],
      ["other", "another answer"],
    ] as const) {
      await stage.parked(`batch-done:${batch}`);
      await send(strait, `batch-done:${batch}`, payload);
    }

    const [equal, other] = [await emitter.trigger({ batch_id: "equal" }), await emitter.trigger({ batch_id: "other" })];
    await Promise.all([equal.is("completed"), other.is("completed")]);
    await emitted(strait);

    expect((await equal.steps())["process-batch"]).toMatchObject({ emit_error: null });
    expect((await other.steps())["process-batch"]).toMatchObject({
      status: "completed",
      emit_error: expect.stringContaining("received another payload"),
    });
    expect((await eventsOf(strait)).slice(2)).toMatchObject([
      { event_key: "batch-done:equal", disposition: "duplicate" },
      { event_key: "batch-done:other", disposition: "conflict" },
    ]);
  });

  test("B5 is due from the commit that completed its step, and sent once, whoever sends it", async () => {
    const strait = await startServer({ runsEngine: false });
    const second = besides(strait, await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl }));
    const emitter = await startEmitter(strait);
    const runs = await Promise.all([1, 2, 3, 4].map((batch_id) => emitter.trigger({ batch_id })));
    await strait.tick("dispatch-runs");
    for (const run of runs) await run.step("process-batch", "completed");
    expect(await strait.db.query(sql`SELECT 1 FROM step_runs WHERE emit_due`)).toHaveLength(4);
    expect(await eventsOf(strait)).toEqual([]);

    await Promise.all([strait.tick("emit-due-events"), second.tick("emit-due-events")]);

    expect(await eventsOf(strait)).toHaveLength(4);
    expect(await strait.db.query(sql`SELECT 1 FROM step_runs WHERE emit_due`)).toEqual([]);
  });

  test("B5 is sent though its workflow run was canceled after its step had completed", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startWorkflowStage(strait, [
      { step_ref: "made", job_id: "made", event_emit_key: "made" },
      { step_ref: "gate", type: "wait_for_event", event_key: "gate" },
    ]);
    const run = await stage.trigger();
    await strait.tick("dispatch-runs");
    await run.step("made", "completed");

    await strait.request("DELETE", `/v1/workflow-runs/${run.id}`);
    await strait.tick("emit-due-events");

    expect(await eventsOf(strait)).toMatchObject([{ event_key: "made", disposition: "buffered" }]);
  });
});
