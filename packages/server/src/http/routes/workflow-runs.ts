import { notFound } from "../../domain/errors.ts";
import { cancelWorkflowRun } from "../../service/cancel-workflow-run.ts";
import * as stepRuns from "../../store/step-runs.ts";
import * as workflowRuns from "../../store/workflow-runs.ts";
import * as workflows from "../../store/workflows.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";
import { openStream } from "../streams.ts";
import { workflowRunSource } from "../workflow-run-source.ts";

export const workflowRunsRoutes: HandlersOf<"workflow-runs"> = {
  async getV1WorkflowRuns({ context, caller, query: { workflow_id, ...query } }) {
    const { db } = context;
    const workflow = workflow_id === undefined ? undefined : await workflows.find(db, caller.projectId, workflow_id);
    const filter = { ...query, workflow_id: workflow?.id ?? workflow_id };
    return workflowRuns.list(db, caller.projectId, filter, pageOf(query));
  },

  async getV1WorkflowRunsByWorkflowRunID({ context, caller, path }) {
    const run = await workflowRuns.find(context.db, caller.projectId, path.workflowRunID);
    if (!run) throw notFound("workflow run", path.workflowRunID);
    return run;
  },

  async getV1WorkflowRunsByWorkflowRunIDSteps({ context, caller, path, query }) {
    const run = await workflowRuns.find(context.db, caller.projectId, path.workflowRunID);
    if (!run) throw notFound("workflow run", path.workflowRunID);
    return stepRuns.page(context.db, caller.projectId, run.id, pageOf(query));
  },

  deleteV1WorkflowRunsByWorkflowRunID: ({ context, caller, path, query }) =>
    cancelWorkflowRun(context, caller, path.workflowRunID, query.reason),

  async getV1WorkflowRunsByWorkflowRunIDStream({ context, caller, path, query, headers, streams }) {
    const run = await workflowRuns.find(context.db, caller.projectId, path.workflowRunID);
    if (!run) throw notFound("workflow run", path.workflowRunID);
    const source = workflowRunSource(context.db, caller.projectId, run.id);
    const lastEventId = headers["Last-Event-ID"];
    return openStream(streams, context, source, { projectId: caller.projectId, lastEventId, cursor: query.cursor });
  },
};
