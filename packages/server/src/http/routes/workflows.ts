import { notFound } from "../../domain/errors.ts";
import { checkOwner } from "../../service/job-definition.ts";
import { startWorkflowRun } from "../../service/start-workflow-run.ts";
import {
  checkSteps,
  createWorkflow,
  deleteWorkflow,
  describeGraph,
  updateWorkflow,
} from "../../service/workflow-definition.ts";
import * as workflows from "../../store/workflows.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

export const workflowsRoutes: HandlersOf<"workflows"> = {
  async postV1Workflows({ context, caller, body }) {
    checkOwner(caller, body.project_id, body.environment_id);
    return createWorkflow(context, caller, body);
  },

  getV1Workflows: ({ context, caller, query }) => workflows.list(context.db, caller.projectId, pageOf(query)),

  async getV1WorkflowsByWorkflowID({ context, caller, path }) {
    const workflow = await workflows.find(context.db, caller.projectId, path.workflowID);
    if (!workflow) throw notFound("workflow", path.workflowID);
    return workflow;
  },

  patchV1WorkflowsByWorkflowID: ({ context, caller, path, body }) =>
    updateWorkflow(context, caller, path.workflowID, body ?? {}),

  async deleteV1WorkflowsByWorkflowID({ context, caller, path }) {
    await deleteWorkflow(context, caller, path.workflowID);
    return undefined;
  },

  postV1WorkflowsByWorkflowIDTrigger: ({ context, caller, path, body }) =>
    startWorkflowRun(context, caller, path.workflowID, { payload: body?.payload ?? null, tags: body?.tags ?? {} }),

  async postV1WorkflowsByWorkflowIDDryRun({ context, caller, path, body }) {
    const workflow = await workflows.find(context.db, caller.projectId, path.workflowID);
    if (!workflow) throw notFound("workflow", path.workflowID);
    const steps = body?.steps
      ? await checkSteps(context.db, caller.projectId, body.steps, context.allowPrivateEndpoints)
      : workflow.steps;
    return { valid: true, ...describeGraph(steps) };
  },
};
