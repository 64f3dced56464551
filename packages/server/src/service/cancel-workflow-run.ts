import type { StepRun, WorkflowRun } from "@strait/contract";
import { isTerminalStepStatus, isTerminalWorkflowRunStatus } from "@strait/core";
import { illegalMove, notFound } from "../domain/errors.ts";
import { canceledBecause } from "../domain/reasons.ts";
import type { Transaction } from "../store/database.ts";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import * as stepRuns from "../store/step-runs.ts";
import * as triggers from "../store/triggers.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import { audit } from "./audit.ts";
import { cancelWaitsOf } from "./cancel-run.ts";
import type { Caller, Context } from "./context.ts";
import { announceSettled } from "./settle-waits.ts";

/**
 * Cancels a workflow run that has not ended, with its steps, their runs and their waits.
 *
 * @throws {StraitError} `not_found`; `illegal_move` when the workflow run has ended.
 */
export async function cancelWorkflowRun(
  context: Context,
  caller: Caller,
  id: string,
  reason: string | undefined,
): Promise<WorkflowRun> {
  const error = canceledBecause("workflow run", reason);
  const run = await context.db.transaction(async (tx) => {
    const locked = await workflowRuns.lock(tx, caller.projectId, id);
    if (!locked) throw notFound("workflow run", id);
    if (isTerminalWorkflowRunStatus(locked.status)) throw illegalMove("workflow run", id, locked.status, "cancel");
    const steps = await stepRuns.list(tx, caller.projectId, id);
    const live = steps.filter((step) => !isTerminalStepStatus(step.status));
    await closeSteps(context, tx, { project_id: caller.projectId, id }, live, caller.actor, error);
    await workflowRuns.move(tx, caller.projectId, id, "cancel", caller.actor, error);
    await audit(context, tx, caller, "workflow_run.cancel", [id], { reason: reason ?? null });
    return workflowRuns.find(tx, caller.projectId, id);
  });
  context.signals.publish([`workflow_run:${id}`]);
  if (!run) throw notFound("workflow run", id);
  return run;
}

/**
 * Ends live steps of a workflow run whose row the caller holds. Runs and waits are locked before the steps (K1): whoever
 * ends one of them holds it when it comes to the step.
 */
export async function closeSteps(
  context: Context,
  tx: Transaction,
  run: Pick<WorkflowRun, "project_id" | "id">,
  steps: readonly StepRun[],
  actor: string,
  error: string,
): Promise<void> {
  const projectId = run.project_id;
  const runIds = steps.flatMap((step) => step.job_run_id ?? []);
  await runs.lockAll(tx, projectId, runIds);
  await triggers.waitingOf(tx, projectId, { workflow_run_id: run.id });
  await stepRuns.move(
    tx,
    projectId,
    "cancel",
    steps.map((step) => ({ id: step.id, error })),
    actor,
  );
  const items = runIds.map((id) => ({ project_id: projectId, id, error }));
  const moved = await runMoves.move(tx, "cancel", items, { actor });
  const owner = { projectId, actor };
  const settled = await cancelWaitsOf(context, tx, owner, { workflow_run_id: run.id }, error);
  for (const id of runIds) settled.push(...(await cancelWaitsOf(context, tx, owner, { job_run_id: id }, error)));
  tx.afterCommit(() => {
    context.metrics.runsMoved(moved);
    for (const id of runIds) context.worker.abort(projectId, id);
    announceSettled(context, settled);
    context.signals.publish(runIds.map((id) => `run:${id}` as const));
  });
}
