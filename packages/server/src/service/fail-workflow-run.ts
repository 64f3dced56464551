import { isTerminalStepStatus, isTerminalWorkflowRunStatus } from "@strait/core";
import { WORKFLOW_RUN_FAILED } from "../domain/reasons.ts";
import * as stepRuns from "../store/step-runs.ts";
import * as wakes from "../store/wakes.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import { closeSteps } from "./cancel-workflow-run.ts";
import { type Context, SYSTEM } from "./context.ts";

/** Fails a workflow run that cannot go on, and cancels what is left of it. One that has ended keeps its status. */
export async function failWorkflowRun(context: Context, projectId: string, id: string, error: string): Promise<void> {
  await context.db.transaction(async (tx) => {
    const locked = await workflowRuns.lock(tx, projectId, id);
    await wakes.takeOfWorkflowRun(tx, projectId, id);
    if (!locked || isTerminalWorkflowRunStatus(locked.status)) return;
    const steps = await stepRuns.list(tx, projectId, id);
    const live = steps.filter((step) => !isTerminalStepStatus(step.status));
    await closeSteps(context, tx, { project_id: projectId, id }, live, SYSTEM, WORKFLOW_RUN_FAILED);
    await workflowRuns.move(tx, projectId, id, "fail", SYSTEM, error);
  });
  context.signals.publish([`workflow_run:${id}`]);
}
