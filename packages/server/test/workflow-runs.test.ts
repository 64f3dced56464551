import type { StepStatus, WorkflowStep } from "@strait/contract";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planSteps } from "../src/domain/plan-steps.ts";
import { sql } from "../src/store/sql.ts";
import { eventually, startServer } from "./server.ts";
import { besides, send } from "./stage.ts";
import { startWorkflowRun, startWorkflowStage } from "./workflow-stage.ts";

/** The steps of the guide's patterns, character by character. */
const patterns = {
  kycOnboarding: `[
{
"step_ref": "collect-data",
"job_id": "job_collect_user_data"
},
{
"step_ref": "aml-check",
"type": "wait_for_event",
"event_key": "aml:{{payload.user_id}}",
"timeout_secs": 86400,
"depends_on": ["collect-data"]
},
{
"step_ref": "create-account",
"job_id": "job_create_account",
"depends_on": ["aml-check"]
}
]`,
  productionDeploy: `[
{"step_ref": "build", "job_id": "job_build"},
{"step_ref": "test", "job_id": "job_test", "depends_on": ["build"]},
{
"step_ref": "staging-deploy",
"job_id": "job_deploy_staging",
"depends_on": ["test"]
},
{
"step_ref": "qa-signoff",
"type": "wait_for_event",
"event_key": "qa-signoff:{{payload.release_id}}",
"timeout_secs": 604800,
"depends_on": ["staging-deploy"]
},
{
"step_ref": "prod-deploy",
"job_id": "job_deploy_prod",
"depends_on": ["qa-signoff"]
}
]`,
  durableSleep: `[
{"step_ref": "send-email", "job_id": "job_send_welcome_email"},
{
"step_ref": "wait-24h",
"type": "sleep",
"sleep_duration": "24h",
"depends_on": ["send-email"]
},
{
"step_ref": "send-followup",
"job_id": "job_send_followup",
"depends_on": ["wait-24h"]
}
]`,
};

const DAY_MS = 24 * 3_600_000;

describe("the guide's workflows", () => {
  test("ST-01 ST-02 ST-03 ST-04 ST-05 pattern 1: waits for the event and hands its payload to the next step", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, JSON.parse(patterns.kycOnboarding), { slug: "kyc-onboarding" });

    const run = await stage.trigger({ user_id: "user-456" });
    await run.step("aml-check", "waiting");
    expect(stage.executor.dispatches.map(({ path }) => path)).toEqual(["/job_collect_user_data"]);
    const sent = await strait.request("POST", "/v1/events/aml:user-456/send", {
      body: { payload: { result: "clear", risk_score: 0.05 } },
    });

    expect(sent.body).toMatchObject({ status: "received", disposition: "delivered", timeout_secs: 86_400 });
    expect((await run.is("completed")).error).toBeNull();
    const [, create] = stage.executor.dispatches;
    expect(create?.path).toBe("/job_create_account");
    expect(create?.body).toEqual({
      user_id: "user-456",
      parent_outputs: { "aml-check": { result: "clear", risk_score: 0.05 } },
    });
  });

  test("ST-06 ST-07 pattern 2: passes its gates in a row, after six days of holding nothing", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, JSON.parse(patterns.productionDeploy), { slug: "prod-deploy" });
    const run = await stage.trigger({ release_id: "v2.1" });
    await run.step("qa-signoff", "waiting");
    await eventually(async () => strait.server.dispatcher.inFlight === 0);

    await strait.advance(6 * DAY_MS);
    expect((await run.read()).status).toBe("running");
    await send(strait, "qa-signoff:v2.1", { ok: true });

    await run.is("completed");
    expect(stage.executor.dispatches.map(({ path }) => path)).toEqual([
      "/job_build",
      "/job_test",
      "/job_deploy_staging",
      "/job_deploy_prod",
    ]);
  });

  test("ST-18 pattern 2: fails when nobody signs off within the seven days", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, JSON.parse(patterns.productionDeploy), { slug: "prod-deploy" });
    const run = await stage.trigger({ release_id: "v2.1" });
    await run.step("qa-signoff", "waiting");

    await strait.advance(7 * DAY_MS);

    expect((await run.is("failed")).error).toBe('step "qa-signoff" failed: event trigger timed out');
    expect(stage.dispatchesTo("job_deploy_prod")).toEqual([]);
  });

  test("ST-09 pattern 4: sleeps a day between two emails", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, JSON.parse(patterns.durableSleep), { slug: "welcome" });
    const run = await stage.trigger();
    await run.step("wait-24h", "waiting");

    await strait.advance(DAY_MS - 60_000);
    expect(stage.dispatchesTo("job_send_followup")).toEqual([]);
    await strait.advance(60_000);

    await run.is("completed");
    expect(stage.dispatchesTo("job_send_followup")).toHaveLength(1);
  });
});

describe("a workflow run", () => {
  test("runs the sides of a diamond beside each other, and joins them once", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(
      strait,
      [
        { step_ref: "top", job_id: "top" },
        { step_ref: "left", job_id: "left", depends_on: ["top"] },
        { step_ref: "right", job_id: "right", depends_on: ["top"] },
        { step_ref: "bottom", job_id: "bottom", depends_on: ["left", "right"] },
      ],
      {
        // Each side answers only when the other has come too.
        async handle({ path }) {
          await eventually(
            async () =>
              !/left|right/.test(path) || stage.dispatchesTo("left").length + stage.dispatchesTo("right").length === 2,
          );
          return { body: { path } };
        },
      },
    );

    const run = await stage.trigger();

    await run.is("completed");
    expect(stage.dispatchesTo("bottom").map(({ body }) => body)).toEqual([
      { parent_outputs: { left: { path: "/left" }, right: { path: "/right" } } },
    ]);
  });

  test("K3 joins fifty steps that end at once, one time, with two processes", async () => {
    const a = await startServer();
    const b = besides(a, await startServer({ databaseUrl: a.databaseUrl }));
    const refs = Array.from({ length: 50 }, (_, n) => `wait-${n}`);
    const stage = await startWorkflowStage(a, [
      ...refs.map((step_ref) => ({ step_ref, type: "wait_for_event", event_key: step_ref })),
      { step_ref: "join", job_id: "join", depends_on: refs },
    ]);
    const run = await stage.trigger();

    const sent = await Promise.all(refs.map((key, n) => send(n % 2 === 0 ? a : b, key, n)));

    expect(sent.filter(({ status }) => status !== 200)).toEqual([]);
    await run.is("completed");
    expect(stage.dispatchesTo("join").map(({ body }) => body)).toEqual([
      { parent_outputs: Object.fromEntries(refs.map((ref, n) => [ref, n])) },
    ]);
  });

  test("keeps the version that it started with while the workflow is changed", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { step_ref: "gate", type: "wait_for_event", event_key: "gate:{{payload.n}}" },
      { step_ref: "old", job_id: "old", depends_on: ["gate"] },
    ]);
    const before = await stage.trigger({ n: 1 });

    const updated = await strait.request("PATCH", "/v1/workflows/staged", {
      body: { steps: [{ step_ref: "gate", type: "wait_for_event", event_key: "gate:{{payload.n}}" }] },
    });
    const after = await startWorkflowRun(strait, "staged", { n: 2 });
    await send(strait, "gate:1", 1);
    await send(strait, "gate:2", 2);

    expect(updated.body.version).toBe(2);
    expect(await before.is("completed")).toMatchObject({ workflow_version: 1 });
    expect(await before.statuses()).toEqual({ gate: "completed", old: "completed" });
    expect(await after.is("completed")).toMatchObject({ workflow_version: 2 });
    expect(await after.statuses()).toEqual({ gate: "completed" });
  });

  test("is started once by requests with one Idempotency-Key", async () => {
    const strait = await startServer();
    await startWorkflowStage(strait, [{ step_ref: "sleep", type: "sleep", sleep_duration: "1h" }]);
    const options = { body: { payload: 1 }, headers: { "idempotency-key": "once" } };

    const answers = await Promise.all(
      [1, 2, 3].map(() => strait.request("POST", "/v1/workflows/staged/trigger", options)),
    );

    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect((await strait.request("GET", "/v1/workflow-runs")).body.data).toHaveLength(1);
  });

  test("lists its steps in the order of the definition, by pages", async () => {
    const strait = await startServer();
    const refs = ["c", "a", "b", "e", "d"];
    const steps = refs.map((step_ref) => ({ step_ref, type: "sleep", sleep_duration: "1h" }));
    const run = await (await startWorkflowStage(strait, steps)).trigger();

    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const from: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const { body } = await strait.request("GET", `/v1/workflow-runs/${run.id}/steps?limit=2${from}`);
      seen.push(...body.data.map((step: { step_ref: string }) => step.step_ref));
      cursor = body.next_cursor;
    }

    expect(seen).toEqual(refs);
  });
});

interface RandomStep extends Pick<WorkflowStep, "step_ref" | "depends_on" | "on_failure"> {
  readonly kind: "job" | "event";
  readonly fails: boolean;
}

/** Up to seven steps, each depending on some of those before it. */
const randomWorkflow: fc.Arbitrary<RandomStep[]> = fc
  .array(
    fc.record({
      kind: fc.constantFrom("job", "job", "event"),
      fails: fc.boolean(),
      on_failure: fc.constantFrom("fail_workflow", "skip_dependents", "skip_dependents", "continue", "continue"),
      parents: fc.array(fc.nat(6), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map(
    (steps) =>
      steps.map(({ parents, ...step }, index) => ({
        ...step,
        step_ref: `s${index}`,
        depends_on: [...new Set(parents.filter((parent) => parent < index).map((parent) => `s${parent}`))],
      })) as RandomStep[],
  );

/** What the pure planner says, when steps end one after another in the order of the definition. */
function plannedEnd(steps: readonly RandomStep[]): { status: string; statuses: Record<string, StepStatus> } {
  const statuses: Record<string, StepStatus> = Object.fromEntries(steps.map(({ step_ref }) => [step_ref, "pending"]));
  for (;;) {
    const states = steps.map(({ step_ref }) => ({ step_ref, status: statuses[step_ref] ?? "pending", error: null }));
    for (const action of planSteps({ steps }, states)) {
      if (action.kind === "complete_run") return { status: "completed", statuses };
      if (action.kind === "fail_run") return { status: "failed", statuses };
      statuses[action.step_ref] = { start: "running", skip: "skipped", cancel: "canceled" }[action.kind] as StepStatus;
      if (action.kind === "skip") continue;
      const step = steps.find(({ step_ref }) => step_ref === action.step_ref);
      if (action.kind === "start") statuses[action.step_ref] = step?.fails ? "failed" : "completed";
    }
  }
}

describe("random workflows", () => {
  test("K3 end as the pure planner says, and start each step at most once, with two processes", async () => {
    const a = await startServer();
    const b = besides(a, await startServer({ databaseUrl: a.databaseUrl }));
    const stage = await startWorkflowStage(a, [{ step_ref: "s", job_id: "work" }], {
      handle: ({ body }) => ((body as { fails: boolean }).fails ? { status: 400 } : { body: { ok: true } }),
    });
    const workflows = fc.sample(randomWorkflow, { numRuns: 40, seed: Date.now() });

    const ended = await Promise.all(
      workflows.map(async (steps, n) => {
        const definition = steps.map(({ kind, fails, ...step }) =>
          kind === "job"
            ? { ...step, job_id: "work", payload: { fails } }
            : { ...step, type: "wait_for_event", event_key: `{{workflow_run_id}}:${step.step_ref}` },
        );
        const body = { name: "Random", slug: `random-${n}`, steps: definition };
        const on = n % 2 === 0 ? a : b;
        expect((await on.request("POST", "/v1/workflows", { body })).status).toBe(201);
        const run = await startWorkflowRun(on, `random-${n}`);
        // Events come over and over, early and late, from the other process; those that fail are cancellations.
        const other = on === a ? b : a;
        const status = await eventually(async () => {
          for (const { step_ref, kind, fails } of steps) {
            const path = `/v1/events/${run.id}:${step_ref}`;
            if (kind === "event" && fails) await other.request("DELETE", path);
            else if (kind === "event") await send(other, `${run.id}:${step_ref}`, 1);
          }
          const { status: now } = await run.read();
          return now !== "running" && now;
        });
        return { steps, run, status };
      }),
    );

    for (const { steps, run, status } of ended) {
      const planned = plannedEnd(steps);
      const why = JSON.stringify({ steps, planned });
      expect(status, why).toBe(planned.status);
      // A fatal failure cancels whatever has not ended by then, which is a matter of timing.
      if (status === "completed") expect(await run.statuses(), why).toEqual(planned.statuses);
      else expect(Object.values(await run.statuses()), why).not.toContain("running");
    }
    const twice = await a.db.query(sql`
      SELECT subject_id FROM changes WHERE subject_id LIKE 'step_%' AND before = 'pending' GROUP BY 1 HAVING count(*) > 1`);
    expect(twice).toEqual([]);
    const runs = await a.db.query<{ count: number }>(sql`
      SELECT count(*)::int AS count FROM runs GROUP BY workflow_step_run_id HAVING count(*) > 1`);
    expect(runs).toEqual([]);
    expect(stage.executor.dispatches.filter(({ headers }) => headers["x-dispatch"] !== "1")).toEqual([]);
    expect(await a.db.query(sql`SELECT FROM event_triggers WHERE status = 'waiting'`)).toEqual([]);
  });
});
