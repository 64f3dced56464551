import type {
  CreateStreamToken,
  CreateWorkflow,
  ErrorIssue,
  StreamToken,
  Workflow,
  WorkflowRun,
  WorkflowRunWithSteps,
  WorkflowStep,
} from "@strait/contract";
import { isTerminalWorkflowRunStatus } from "@strait/core";
import {
  disabled,
  eventKeyOf,
  hasLiveRuns,
  normalizeSteps,
  noSteps,
  notFound,
  oneOf,
  unknownJob,
  validationError,
} from "@strait/server/pure";
import type { Store } from "../store.ts";
import { openStream } from "../streams.ts";
import { refuse, termIssues } from "../terms.ts";
import { pageOf } from "../wire.ts";
import { cancelWorkflowRun, startWorkflowRun } from "../workflow-runs.ts";
import { found, type Modeled, named, newestFirst, refuseTaken } from "./model.ts";

function stepsOf({ jobs }: Store, inputs: NonNullable<CreateWorkflow["steps"]>): WorkflowStep[] {
  const normalized = normalizeSteps(inputs);
  if (!normalized.ok) throw validationError(normalized.issues);
  const issues: ErrorIssue[] = [];
  const steps = normalized.steps.map((step, index) => {
    issues.push(...termIssues(step, `/steps/${index}`));
    if (step.job_id === null) return step;
    const job = jobs.all().find(({ id, slug }) => id === step.job_id || slug === step.job_id);
    if (!job) issues.push(unknownJob(index, step.job_id));
    return { ...step, job_id: job?.id ?? step.job_id };
  });
  refuse(issues);
  return steps;
}

function createWorkflow(store: Store, { steps: inputs = [], ...body }: CreateWorkflow): Workflow {
  const steps = stepsOf(store, inputs);
  refuseTaken(store.workflows.all(), "workflow", body.slug);
  const now = store.clock.timestamp();
  return store.workflows.put({
    description: null,
    tags: {},
    enabled: true,
    ...body,
    ...store.project,
    steps,
    id: store.clock.newId("wf"),
    version: 1,
    created_at: now,
    updated_at: now,
  });
}

const workflowOf = ({ workflows }: Store, reference: string): Workflow => named(workflows.all(), "workflow", reference);

function withoutSteps({ steps: _, ...run }: WorkflowRunWithSteps): WorkflowRun {
  return run;
}

const runOf = ({ workflowRuns }: Store, id: string) => found(workflowRuns.get(id), "workflow run", id);

/** The stream that a token is asked for. */
function streamOf(store: Store, body: CreateStreamToken): { readonly subject: string; readonly path: string } {
  const [field, value] = oneOf(["event_key", "run_id", "workflow_run_id"], body);
  if (field === "event_key") {
    const key = eventKeyOf(value, "/event_key");
    if (!store.keys.has(key)) throw notFound("event trigger", key);
    return { subject: key, path: `/v1/events/${encodeURIComponent(key)}/stream` };
  }
  if (field === "run_id") found(store.runs.get(value), "run", value);
  else runOf(store, value);
  const kind = field === "run_id" ? "runs" : "workflow-runs";
  return { subject: value, path: `/v1/${kind}/${encodeURIComponent(value)}/stream` };
}

export const workflowOperations: Modeled = {
  postV1Workflows: (store, { body }) => ({ status: 201, body: createWorkflow(store, body) }),

  getV1Workflows: ({ workflows }, { query }) => ({ status: 200, body: pageOf(newestFirst(workflows.all()), query) }),

  getV1WorkflowsByWorkflowID: (store, { pathParams }) => ({
    status: 200,
    body: workflowOf(store, pathParams.workflowID),
  }),

  patchV1WorkflowsByWorkflowID(store, { pathParams, body: { steps, ...changes } = {} }) {
    const { clock, workflows } = store;
    const workflow = workflowOf(store, pathParams.workflowID);
    const next = { ...changes, ...(steps && { steps: stepsOf(store, steps) }) };
    if (changes.slug !== undefined && changes.slug !== workflow.slug) {
      refuseTaken(workflows.all(), "workflow", changes.slug);
    }
    const version = workflow.version + 1;
    return { status: 200, body: workflows.change(workflow, { ...next, version, updated_at: clock.timestamp() }) };
  },

  deleteV1WorkflowsByWorkflowID(store, { pathParams }) {
    const { id, slug } = workflowOf(store, pathParams.workflowID);
    const isLive = store.workflowRuns
      .all()
      .some(({ workflow_id, status }) => workflow_id === id && !isTerminalWorkflowRunStatus(status));
    if (isLive) throw hasLiveRuns("workflow", slug);
    store.workflows.remove(id);
    return { status: 204 };
  },

  postV1WorkflowsByWorkflowIDTrigger(store, { pathParams, body }) {
    const workflow = workflowOf(store, pathParams.workflowID);
    if (!workflow.enabled) throw disabled("workflow", workflow.slug);
    if (workflow.steps.length === 0) throw noSteps(workflow.slug);
    const run = startWorkflowRun(store, workflow, { payload: body?.payload ?? null, tags: body?.tags ?? {} });
    return { status: 201, body: withoutSteps(run) };
  },

  getV1WorkflowRuns(store, { query }) {
    const workflows = store.workflows.all();
    const id = query.workflow_id && (workflows.find(({ slug }) => slug === query.workflow_id)?.id ?? query.workflow_id);
    const rows = newestFirst(store.workflowRuns.all()).filter(
      (run) =>
        (query.status === undefined || run.status === query.status) && (id === undefined || run.workflow_id === id),
    );
    return { status: 200, body: pageOf(rows.map(withoutSteps), query) };
  },

  getV1WorkflowRunsByWorkflowRunID: (store, { pathParams }) => ({
    status: 200,
    body: withoutSteps(runOf(store, pathParams.workflowRunID)),
  }),

  getV1WorkflowRunsByWorkflowRunIDSteps: (store, { pathParams, query }) => ({
    status: 200,
    body: pageOf(runOf(store, pathParams.workflowRunID).steps, query),
  }),

  deleteV1WorkflowRunsByWorkflowRunID(store, { pathParams, query, caller }) {
    const run = runOf(store, pathParams.workflowRunID);
    return { status: 200, body: withoutSteps(cancelWorkflowRun(store, run, query.reason, caller.actor)) };
  },

  getV1WorkflowRunsByWorkflowRunIDStream(store, { pathParams, query, request, streams }) {
    const { id } = runOf(store, pathParams.workflowRunID);
    const isTerminal = ({ status }: WorkflowRun) => isTerminalWorkflowRunStatus(status);
    return openStream({ table: store.workflowRuns, id, isTerminal }, query, request, streams);
  },

  postV1StreamTokens(store, { body }) {
    const { subject, path } = streamOf(store, body);
    const expires_at = store.clock.timestamp(body.expires_in_secs ?? 300);
    const token = streamToken(subject, expires_at);
    const answer: StreamToken = { token, expires_at, url: `${path}?token=${token}` };
    return { status: 201, body: answer };
  },
};

/** A token that opens the stream of a key or an id until it expires. */
function streamToken(subject: string, expiresAt: string): string {
  const claims = btoa(encodeURIComponent(`${subject} ${expiresAt}`));
  return `mock.stream.${claims.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** The key or the id whose stream a token opens; undefined for a text that is none. */
export function streamSubjectOf(token: string): { readonly subject: string; readonly expiresAt: string } | undefined {
  const [, claims] = /^mock\.stream\.([\w-]+)$/.exec(token) ?? [];
  if (claims === undefined) return undefined;
  const text = decodeURIComponent(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
  const [subject, expiresAt] = text.split(/ (?=\S*$)/);
  return subject !== undefined && expiresAt !== undefined ? { subject, expiresAt } : undefined;
}
