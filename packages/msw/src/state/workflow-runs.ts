import type { JsonValue, StepRun, Workflow, WorkflowRunWithSteps, WorkflowStep } from "@strait/contract";
import {
  allows,
  isTerminalRunStatus,
  isTerminalStepStatus,
  isTerminalWorkflowRunStatus,
  renderTemplate,
  type StepMove,
  stepMoves,
  type TemplateScope,
  type WorkflowRunMove,
  workflowRunMoves,
} from "@strait/core";
import {
  bufferedSince,
  canceledBecause,
  DEFAULT_TTL_SECS,
  illegalMove,
  outputOf,
  planSteps,
  type StepAction,
  type StepKey,
  StraitError,
  sleepSecs,
  stepKey,
  stepPayload,
  unfilledPayload,
  unusableJob,
  WORKFLOW_RUN_FAILED,
} from "@strait/server/pure";
import { newTrigger } from "./new-trigger.ts";
import { createRun, endRun } from "./runs.ts";
import { sendEvent } from "./sends.ts";
import { type Store, SYSTEM } from "./store.ts";
import { cancelWaits, openWait } from "./waits.ts";

export function startWorkflowRun(
  store: Store,
  workflow: Workflow,
  input: { readonly payload: JsonValue; readonly tags: Record<string, string> },
): WorkflowRunWithSteps {
  const { clock, project, workflowRuns, definitions } = store;
  const now = clock.timestamp();
  const id = clock.newId("wfr");
  definitions.set(id, workflow.steps);
  workflowRuns.put({
    ...project,
    id,
    workflow_id: workflow.id,
    workflow_version: workflow.version,
    status: workflowRunMoves.start.to,
    payload: input.payload,
    tags: { ...workflow.tags, ...input.tags },
    error: null,
    triggered_by: "manual",
    created_at: now,
    started_at: now,
    finished_at: null,
    steps: workflow.steps.map((step) => pendingStep(store, id, step)),
  });
  return advance(store, id);
}

function pendingStep({ clock }: Store, workflow_run_id: string, step: WorkflowStep): StepRun {
  return {
    id: clock.newId("step"),
    workflow_run_id,
    step_ref: step.step_ref,
    type: step.type,
    status: "pending",
    attempt: 1,
    depends_on: step.depends_on,
    job_run_id: null,
    event_trigger_id: null,
    output: null,
    error: null,
    emit_error: null,
    timed_out: false,
    cancellation: null,
    created_at: clock.timestamp(),
    started_at: null,
    finished_at: null,
  };
}

/** Cancels a workflow run that has not ended, with its steps, their runs and their waits. */
export function cancelWorkflowRun(
  store: Store,
  run: WorkflowRunWithSteps,
  reason: string | undefined,
  actor: string,
): WorkflowRunWithSteps {
  if (isTerminalWorkflowRunStatus(run.status)) throw illegalMove("workflow run", run.id, run.status, "cancel");
  const error = canceledBecause("workflow run", reason);
  const live = run.steps.filter(({ status }) => !isTerminalStepStatus(status));
  const canceled = endRunOf(store, run.id, "cancel", error);
  closeSteps(store, run.id, live, actor, error);
  return current(store, canceled.id);
}

/** The step of something that has ended. */
interface EndedStep {
  readonly workflow_run_id: string;
  readonly id: string;
  readonly timed_out: boolean;
  readonly cancellation: StepRun["cancellation"];
}

export function completeStep(store: Store, { workflow_run_id, id, timed_out }: EndedStep, output: JsonValue): void {
  if (!moveStep(store, workflow_run_id, id, "complete", { output, timed_out })) return;
  emitEvent(store, workflow_run_id, id, output);
  advance(store, workflow_run_id);
}

export function failStep(store: Store, { workflow_run_id, id, ...end }: EndedStep, error: string): void {
  if (moveStep(store, workflow_run_id, id, "fail", { ...end, error })) advance(store, workflow_run_id);
}

/** Makes a move of a step, if its status allows it. */
function moveStep(store: Store, runId: string, id: string, move: StepMove, changes: Partial<StepRun> = {}): boolean {
  const run = current(store, runId);
  const step = run.steps.find((candidate) => candidate.id === id);
  if (!step || !allows(stepMoves[move], step.status)) return false;
  const now = store.clock.timestamp();
  const { to } = stepMoves[move];
  const times = isTerminalStepStatus(to) ? { finished_at: now } : { started_at: now };
  const moved = { ...step, ...changes, ...times, status: to };
  store.workflowRuns.change(run, { steps: run.steps.map((other) => (other.id === id ? moved : other)) });
  return true;
}

function endRunOf(store: Store, id: string, move: WorkflowRunMove, error: string | null): WorkflowRunWithSteps {
  const changes = { status: workflowRunMoves[move].to, error, finished_at: store.clock.timestamp() };
  return store.workflowRuns.change(current(store, id), changes);
}

function closeSteps(store: Store, id: string, steps: readonly StepRun[], actor: string, error: string): void {
  for (const step of steps) moveStep(store, id, step.id, "cancel", { error });
  for (const { job_run_id } of steps) {
    const run = store.runs.get(job_run_id ?? "");
    if (run && !isTerminalRunStatus(run.status)) endRun(store, run, "cancel", { error }, actor);
  }
  cancelWaits(store, ({ workflow_run_id }) => workflow_run_id === id, actor, error);
}

function current({ workflowRuns }: Store, id: string): WorkflowRunWithSteps {
  const run = workflowRuns.get(id);
  if (!run) throw new Error(`there is no workflow run ${id}`);
  return run;
}

/** Does what the plan says until it says nothing more: a step that ends as it starts calls for another plan. */
function advance(store: Store, id: string): WorkflowRunWithSteps {
  for (;;) {
    const run = current(store, id);
    if (isTerminalWorkflowRunStatus(run.status)) return run;
    const actions = planSteps({ steps: definitionOf(store, id) }, run.steps);
    if (actions.length === 0) return run;
    for (const action of actions) {
      if (!isTerminalWorkflowRunStatus(current(store, id).status)) apply(store, id, action);
    }
  }
}

const definitionOf = ({ definitions }: Store, id: string): readonly WorkflowStep[] => definitions.get(id) ?? [];

function apply(store: Store, id: string, action: StepAction): void {
  if (action.kind === "complete_run") endRunOf(store, id, "complete", null);
  else if (action.kind === "fail_run") endRunOf(store, id, "fail", action.error);
  else {
    const { steps } = current(store, id);
    const step = steps.find(({ step_ref }) => step_ref === action.step_ref);
    // What an action before it has caused may have ended or started it.
    if (!step || isTerminalStepStatus(step.status)) return;
    if (action.kind === "skip") moveStep(store, id, step.id, "skip");
    else if (action.kind === "cancel") closeSteps(store, id, [step], SYSTEM, WORKFLOW_RUN_FAILED);
    else if (step.status === "pending") startStep(store, id, step);
  }
}

function startStep(store: Store, id: string, step: StepRun): void {
  const definition = definitionOf(store, id).find(({ step_ref }) => step_ref === step.step_ref);
  if (!definition) return;
  const start = { job: startJob, wait_for_event: startWait, sleep: startSleep }[definition.type];
  start(store, id, step, definition);
}

function startJob(store: Store, id: string, step: StepRun, definition: WorkflowStep): void {
  const rendered = renderTemplate(definition.payload, scopeOf(store, id, step));
  if (!rendered.ok) {
    moveStep(store, id, step.id, "fail", { error: unfilledPayload(rendered) });
    return;
  }
  const job = store.jobs.get(definition.job_id ?? "");
  if (!job?.enabled) {
    const error = unusableJob(definition.job_id ?? "", job !== undefined);
    moveStep(store, id, step.id, "fail", { error });
    return;
  }
  const payload = stepPayload(current(store, id).payload, rendered.value, outputsOf(store, id, step.depends_on));
  const workflow = { workflow_run_id: id, workflow_step_run_id: step.id };
  const options = {
    tags: {},
    scheduled_at: null,
    priority: 0,
    idempotency_key: null,
    triggered_by: "workflow",
  } as const;
  const started = createRun(store, { ...options, job, workflow, payload: payload as JsonValue });
  moveStep(store, id, step.id, "start", { job_run_id: started.id });
}

function startWait(store: Store, id: string, step: StepRun, definition: WorkflowStep): void {
  const key = stepKey("event_key", definition.event_key ?? "", scopeOf(store, id, step));
  if (!key.ok) {
    moveStep(store, id, step.id, "fail", { error: key.message });
    return;
  }
  try {
    const trigger = openWait(store, {
      event_key: key.value,
      owner: { workflow_run_id: id, workflow_step_run_id: step.id },
      timeout_secs: definition.timeout_secs,
      deadline: null,
      grace_secs: definition.grace_secs ?? 0,
      notify_url: definition.notify_url,
      on_timeout: definition.on_timeout,
      timeout_payload: definition.timeout_payload,
      on_cancel: definition.on_cancel,
      request_payload: null,
      payload_schema: definition.payload_schema,
      filter: definition.filter,
      tags: {},
      on_conflict: definition.on_conflict ?? "fail",
      broadcast: definition.broadcast ?? false,
      buffered_since: bufferedSince(definition.accept_buffered ?? "any", current(store, id).created_at),
      pick: definition.pick ?? "oldest",
      actor: SYSTEM,
    });
    const waiting = { event_trigger_id: trigger.id };
    if (trigger.status === "waiting") moveStep(store, id, step.id, "park", waiting);
    else if (moveStep(store, id, step.id, "complete", { ...waiting, output: trigger.response_payload })) {
      emitEvent(store, id, step.id, trigger.response_payload);
    }
  } catch (error) {
    if (!(error instanceof StraitError) || error.code !== "key_in_use") throw error;
    moveStep(store, id, step.id, "fail", { error: error.message });
  }
}

function startSleep(store: Store, id: string, step: StepRun, definition: WorkflowStep): void {
  const trigger = newTrigger(store, {
    id: store.clock.newId("trg"),
    event_key: `sleep:${id}:${step.step_ref}`,
    trigger_type: "sleep",
    workflow_run_id: id,
    workflow_step_run_id: step.id,
    timeout_secs: sleepSecs(definition.sleep_duration ?? "0s"),
    deadline: null,
  });
  store.triggers.put(trigger);
  moveStep(store, id, step.id, "park", { event_trigger_id: trigger.id });
}

/** Sends the event of a step that has completed (B5), and tells on the step why nobody got it. */
function emitEvent(store: Store, id: string, stepId: string, payload: JsonValue): void {
  const step = current(store, id).steps.find((candidate) => candidate.id === stepId);
  const template = definitionOf(store, id).find(({ step_ref }) => step_ref === step?.step_ref)?.event_emit_key;
  if (!step || template == null) return;
  const emit_error = refusalOfEvent(store, id, stepKey("event_emit_key", template, scopeOf(store, id, step)), payload);
  if (emit_error === null) return;
  const run = current(store, id);
  const steps = run.steps.map((other) => (other.id === stepId ? { ...other, emit_error } : other));
  store.workflowRuns.change(run, { steps });
}

function refusalOfEvent(store: Store, id: string, key: StepKey, payload: JsonValue): string | null {
  if (!key.ok) return key.message;
  try {
    sendEvent(store, {
      event_key: key.value,
      payload,
      if_no_waiter: "buffer",
      ttl_secs: DEFAULT_TTL_SECS,
      for_next: false,
      generation: null,
      trigger_id: null,
      actor: `workflow_run:${id}`,
      channel: "emit",
      idempotency_key: null,
    });
    return null;
  } catch (error) {
    if (error instanceof StraitError) return error.message;
    throw error;
  }
}

function outputsOf(store: Store, id: string, refs?: readonly string[]): Record<string, unknown> {
  const asked = current(store, id).steps.filter(({ step_ref }) => refs?.includes(step_ref) ?? true);
  return Object.fromEntries(asked.flatMap((step) => outputOf(step).map((output) => [step.step_ref, output])));
}

/** What placeholders of a step may name. */
function scopeOf(store: Store, id: string, { step_ref }: StepRun): TemplateScope {
  const { payload, workflow_id, project_id } = current(store, id);
  return { payload, parent_outputs: outputsOf(store, id), workflow_run_id: id, workflow_id, project_id, step_ref };
}
