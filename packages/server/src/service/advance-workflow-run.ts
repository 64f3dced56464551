import type { EventTrigger, StepRun, WorkflowRun, WorkflowStep } from "@strait/contract";
import { isTerminalWorkflowRunStatus, renderTemplate, type TemplateScope } from "@strait/core";
import { bufferedSince } from "../domain/buffered-since.ts";
import { StraitError } from "../domain/errors.ts";
import { sleepSecs } from "../domain/normalize-steps.ts";
import { planSteps, type StepAction } from "../domain/plan-steps.ts";
import { unusableJob, WORKFLOW_RUN_FAILED } from "../domain/reasons.ts";
import { type StepKey, stepKey, unfilledPayload } from "../domain/step-key.ts";
import { outputOf, stepPayload } from "../domain/step-payload.ts";
import { joined, type Transaction } from "../store/database.ts";
import * as jobs from "../store/jobs.ts";
import * as keyWaits from "../store/key-waits.ts";
import * as stepRuns from "../store/step-runs.ts";
import * as triggers from "../store/triggers.ts";
import * as wakes from "../store/wakes.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import * as workflows from "../store/workflows.ts";
import { closeSteps } from "./cancel-workflow-run.ts";
import { type Context, SYSTEM } from "./context.ts";
import { enqueueRuns, type RunRequest } from "./enqueue-run.ts";
import { lockStandings } from "./key-standing.ts";
import { LOCK_TIMEOUT_MS } from "./lane.ts";
import { openWait } from "./open-wait.ts";
import { announceSettled } from "./settle-waits.ts";

/** Works off everything that has ended in one workflow run: takes its row, then does what the plan says. */
export async function advanceWorkflowRun(context: Context, projectId: string, id: string): Promise<void> {
  await context.db.transaction(
    async (tx) => {
      const locked = await workflowRuns.lock(tx, projectId, id);
      await wakes.takeOfWorkflowRun(tx, projectId, id);
      if (locked && !isTerminalWorkflowRunStatus(locked.status)) await advanceLocked(context, tx, projectId, id);
    },
    { lockTimeoutMs: LOCK_TIMEOUT_MS },
  );
  context.signals.publish([`workflow_run:${id}`]);
}

interface Advance {
  readonly context: Context;
  readonly tx: Transaction;
  readonly run: WorkflowRun;
  readonly definition: readonly WorkflowStep[];
  readonly steps: ReadonlyMap<string, StepRun>;
}

/**
 * Does what the plan says until it says nothing more: a step that ends as it starts (its event was there, its key is in
 * use) calls for another plan, here or in a transaction of its own. The caller holds the workflow run's row; states are read in statements after that (K3).
 */
export async function advanceLocked(context: Context, tx: Transaction, projectId: string, id: string): Promise<void> {
  const run = await workflowRuns.find(tx, projectId, id);
  if (!run) return;
  const definition = await workflows.stepsOf(tx, projectId, run.workflow_id, run.workflow_version);
  const waits = new Set(definition.flatMap((step) => (step.type === "wait_for_event" ? [step.step_ref] : [])));
  const startsWait = (action: StepAction) => action.kind === "start" && waits.has(action.step_ref);
  let holdsKeys = false;
  // Each round ends at least one step, so there are no more rounds than steps.
  for (let round = 0; round <= definition.length; round++) {
    const states = await stepRuns.list(tx, projectId, id);
    const actions = planSteps({ steps: definition }, states).filter(
      (action) => run.status !== "paused" || action.kind !== "start",
    );
    if (holdsKeys && actions.some((action) => startsWait(action) || action.kind === "cancel")) {
      // Other keys and the runs of steps are locked before the keys that are held (K1): another transaction goes on.
      await wakes.askToAdvance(tx, projectId, id);
      tx.afterCommit(() => context.signals.publish(["wakes"]));
      return;
    }
    holdsKeys ||= actions.some(startsWait);
    const advance = { context, tx, run, definition, steps: new Map(states.map((step) => [step.step_ref, step])) };
    const isSettled = await apply(advance, actions);
    if (isSettled) return;
  }
  throw new Error(`workflow run ${id} did not settle`);
}

/** True: nothing that was applied calls for another plan. */
async function apply(advance: Advance, actions: readonly StepAction[]): Promise<boolean> {
  const { context, tx, run, steps } = advance;
  const refsOf = (kind: "skip" | "cancel") =>
    actions.flatMap((action) => (action.kind === kind ? [action.step_ref] : []));
  const idOf = (ref: string) => steps.get(ref)?.id ?? "";
  const skipped = refsOf("skip").map((ref) => ({ id: idOf(ref) }));
  if (skipped.length > 0) await stepRuns.move(tx, run.project_id, "skip", skipped, SYSTEM);
  const canceled = refsOf("cancel").flatMap((ref) => steps.get(ref) ?? []);
  if (canceled.length > 0) await closeSteps(context, tx, run, canceled, SYSTEM, WORKFLOW_RUN_FAILED);

  const started = actions.flatMap((action) => (action.kind === "start" ? [action.step_ref] : []));
  const hasEnded = await startSteps(advance, started);

  const end = actions.find((action) => action.kind === "complete_run" || action.kind === "fail_run");
  if (end?.kind === "complete_run") await workflowRuns.move(tx, run.project_id, run.id, "complete", SYSTEM);
  if (end?.kind === "fail_run") await workflowRuns.move(tx, run.project_id, run.id, "fail", SYSTEM, end.error);
  return end !== undefined || !hasEnded;
}

/** Starts steps; true when one of them has ended by that. Jobs go in one statement, however many there are. */
async function startSteps(advance: Advance, refs: readonly string[]): Promise<boolean> {
  const { definition } = advance;
  const chosen = definition.filter((step) => refs.includes(step.step_ref));
  const endedJobs = await startJobs(
    advance,
    chosen.filter((step) => step.type === "job"),
  );
  let hasEnded = endedJobs;
  const waits = chosen
    .filter((step) => step.type === "wait_for_event")
    .map((step) => ({ step, key: stepKey("event_key", step.event_key ?? "", scopeOf(advance, step)) }));
  if (waits.length > 1)
    await lockAllKeys(
      advance,
      waits.flatMap(({ key }) => (key.ok ? [key.value] : [])),
    );
  for (const { step, key } of waits) hasEnded = (await startWait(advance, step, key)) || hasEnded;
  for (const step of chosen.filter((candidate) => candidate.type === "sleep")) await startSleep(advance, step);
  return hasEnded;
}

/** Takes the rows of all keys, then what waits on any of them, before the first wait opens: owners before owned (K1). */
async function lockAllKeys({ context, tx, run }: Advance, eventKeys: readonly string[]): Promise<void> {
  const { project_id, environment_id } = run;
  const keys = eventKeys.map((event_key) => ({ project_id, environment_id, event_key }));
  await keyWaits.lockKeys(tx, keys);
  const { ended } = await lockStandings(context, tx, keys);
  tx.afterCommit(() => announceSettled(context, ended));
}

async function startJobs(advance: Advance, chosen: readonly WorkflowStep[]): Promise<boolean> {
  const { context, tx, run } = advance;
  let hasEnded = false;
  const ready: { step: WorkflowStep; stepId: string; payload: unknown; jobId: string }[] = [];
  for (const step of chosen) {
    const rendered = renderTemplate(step.payload, scopeOf(advance, step));
    const stepId = stepIdOf(advance, step);
    if (rendered.ok)
      ready.push({
        step,
        stepId,
        payload: stepPayload(run.payload, rendered.value, outputsOf(advance, step.depends_on)),
        jobId: step.job_id ?? "",
      });
    else hasEnded = await failStep(advance, step, unfilledPayload(rendered));
  }
  const requests: (RunRequest & { readonly workflow: { readonly workflow_step_run_id: string } })[] = [];
  for (const { step, stepId, payload, jobId } of ready) {
    const job = await jobs.find(tx, run.project_id, jobId);
    if (!job?.enabled) {
      hasEnded = await failStep(advance, step, unusableJob(jobId, job !== undefined));
      continue;
    }
    requests.push({
      job,
      environmentId: run.environment_id,
      payload,
      tags: {},
      scheduled_at: null,
      priority: 0,
      ttl_secs: null,
      batch_id: null,
      idempotency_key: null,
      triggered_by: "workflow",
      actor: SYSTEM,
      workflow: { workflow_run_id: run.id, workflow_step_run_id: stepId },
    });
  }
  if (requests.length === 0) return hasEnded;
  const enqueued = await enqueueRuns(context, joined(tx), requests);
  const moves = enqueued.map((started, index) => ({
    id: requests[index]?.workflow.workflow_step_run_id ?? "",
    job_run_id: started.id,
  }));
  await stepRuns.move(tx, run.project_id, "start", moves, SYSTEM);
  return hasEnded;
}

/** What a step fails with, rather than the workflow run's transaction. */
const ENDS_STEP: ReadonlySet<string> = new Set(["key_in_use", "quota_exceeded"]);

/** True when the step has ended: its event was there already, or its key cannot be waited on. */
async function startWait(advance: Advance, step: WorkflowStep, key: StepKey): Promise<boolean> {
  const { context, tx, run } = advance;
  if (!key.ok) return failStep(advance, step, key.message);
  const id = stepIdOf(advance, step);
  let trigger: EventTrigger;
  try {
    trigger = await openWait(context, tx, {
      project_id: run.project_id,
      environment_id: run.environment_id,
      event_key: key.value,
      owner: { workflow_run_id: run.id, workflow_step_run_id: id },
      timeout_secs: step.timeout_secs,
      deadline: null,
      grace_secs: step.grace_secs ?? 0,
      notify_url: step.notify_url,
      on_timeout: step.on_timeout ?? null,
      timeout_payload: step.timeout_payload ?? null,
      on_cancel: step.on_cancel ?? null,
      request_payload: null,
      // Absent in versions that were saved before these fields existed.
      payload_schema: step.payload_schema ?? null,
      filter: step.filter ?? null,
      tags: {},
      on_conflict: step.on_conflict ?? "fail",
      broadcast: step.broadcast ?? false,
      buffered_since: bufferedSince(step.accept_buffered ?? "any", run.created_at),
      pick: step.pick ?? "oldest",
      actor: SYSTEM,
    });
  } catch (error) {
    if (error instanceof StraitError && ENDS_STEP.has(error.code)) return failStep(advance, step, error.message);
    throw error;
  }
  if (trigger.status === "waiting") {
    await stepRuns.move(tx, run.project_id, "park", [{ id, event_trigger_id: trigger.id }], SYSTEM);
    return false;
  }
  if (step.event_emit_key !== null) tx.afterCommit(() => context.signals.publish(["wakes"]));
  const output = JSON.stringify(trigger.response_payload);
  await stepRuns.move(tx, run.project_id, "complete", [{ id, event_trigger_id: trigger.id, output }], SYSTEM);
  return true;
}

async function startSleep(advance: Advance, step: WorkflowStep): Promise<void> {
  const { context, tx, run } = advance;
  const id = stepIdOf(advance, step);
  const [trigger] = await triggers.insert(tx, [
    {
      project_id: run.project_id,
      id: context.clock.newId("trg"),
      environment_id: run.environment_id,
      event_key: `sleep:${run.id}:${step.step_ref}`,
      generation: 1,
      slot: "",
      broadcast: false,
      source_type: "workflow_step",
      trigger_type: "sleep",
      workflow_run_id: run.id,
      workflow_step_run_id: id,
      job_run_id: null,
      request_payload: null,
      payload_schema: null,
      timeout_secs: sleepSecs(step.sleep_duration ?? "0s"),
      deadline: null,
      notify_url: null,
      on_timeout: null,
      on_cancel: null,
      tags: "{}",
      actor: SYSTEM,
      delivery_id: "",
      event_id: null,
    },
  ]);
  await stepRuns.move(tx, run.project_id, "park", [{ id, event_trigger_id: trigger?.id ?? null }], SYSTEM);
}

/** Always true: the step has ended. */
async function failStep(advance: Advance, step: WorkflowStep, error: string): Promise<true> {
  const { tx, run } = advance;
  await stepRuns.move(tx, run.project_id, "fail", [{ id: stepIdOf(advance, step), error }], SYSTEM);
  return true;
}

function stepIdOf({ steps }: Advance, step: WorkflowStep): string {
  return steps.get(step.step_ref)?.id ?? "";
}

function outputsOf({ steps }: Advance, refs: Iterable<string>): Record<string, unknown> {
  return Object.fromEntries(
    [...refs].flatMap((ref) => {
      const state = steps.get(ref);
      return state === undefined ? [] : outputOf(state).map((output) => [ref, output]);
    }),
  );
}

function scopeOf(advance: Advance, step: WorkflowStep): TemplateScope {
  const { run, steps } = advance;
  return {
    payload: run.payload,
    parent_outputs: outputsOf(advance, steps.keys()),
    workflow_run_id: run.id,
    workflow_id: run.workflow_id,
    project_id: run.project_id,
    step_ref: step.step_ref,
  };
}
