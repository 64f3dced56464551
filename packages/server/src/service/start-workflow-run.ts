import type { WorkflowRun } from "@strait/contract";
import { disabled, noSteps } from "../domain/conflicts.ts";
import { notFound } from "../domain/errors.ts";
import * as stepRuns from "../store/step-runs.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import * as workflows from "../store/workflows.ts";
import { advanceLocked } from "./advance-workflow-run.ts";
import type { Caller, Context } from "./context.ts";

/**
 * Starts a run of a workflow, pinned to its current version. The steps that depend on nothing start in the same
 * transaction.
 *
 * @throws {StraitError} `not_found`; `conflict` when the workflow is disabled or has no steps.
 */
export async function startWorkflowRun(
  context: Context,
  caller: Caller,
  reference: string,
  input: { readonly payload: unknown; readonly tags: Record<string, string> },
): Promise<WorkflowRun> {
  const id = context.clock.newId("wfr");
  const { db, signals } = context;
  const run = await db.transaction(async (tx) => {
    const workflow = await workflows.find(tx, caller.projectId, reference);
    if (!workflow) throw notFound("workflow", reference);
    if (!workflow.enabled) throw disabled("workflow", workflow.slug);
    if (workflow.steps.length === 0) throw noSteps(workflow.slug);
    await workflowRuns.insert(
      tx,
      {
        id,
        project_id: caller.projectId,
        environment_id: workflow.environment_id,
        workflow_id: workflow.id,
        workflow_version: workflow.version,
        payload: JSON.stringify(input.payload),
        tags: { ...workflow.tags, ...input.tags },
        triggered_by: "manual",
      },
      caller.actor,
    );
    await stepRuns.insert(
      tx,
      caller.projectId,
      id,
      workflow.steps.map((step, position) => ({ ...step, id: context.clock.newId("step"), position })),
      caller.actor,
    );
    await workflowRuns.move(tx, caller.projectId, id, "start", caller.actor);
    await advanceLocked(context, tx, caller.projectId, id);
    return workflowRuns.find(tx, caller.projectId, id);
  });
  signals.publish([`workflow_run:${id}`]);
  if (!run) throw notFound("workflow run", id);
  return run;
}
