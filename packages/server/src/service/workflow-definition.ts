import type { ErrorIssue, Workflow, WorkflowStep } from "@strait/contract";
import { rootSteps, topologicalOrder } from "@strait/core";
import { hasLiveRuns, slugTaken } from "../domain/conflicts.ts";
import { notFound, validationError } from "../domain/errors.ts";
import { normalizeSteps } from "../domain/normalize-steps.ts";
import { unknownJob } from "../domain/request-rules.ts";
import * as jobs from "../store/jobs.ts";
import type { Queryable } from "../store/sql.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import * as workflows from "../store/workflows.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";
import { waitIssues } from "./wait-issues.ts";

type StepInputs = Parameters<typeof normalizeSteps>[0];

/** What a caller sends; absent means the default at creation, and "as it is" at an update. */
export interface WorkflowInput {
  readonly name?: string | undefined;
  readonly slug?: string | undefined;
  readonly description?: string | null | undefined;
  readonly tags?: Record<string, string> | undefined;
  readonly enabled?: boolean | undefined;
  readonly steps?: StepInputs | undefined;
}

/**
 * Checks steps and brings them into the form in which they are stored: one spelling, job references resolved to ids.
 *
 * @throws {StraitError} `validation_error` with one issue per fault, each with its pointer.
 */
export async function checkSteps(
  db: Queryable,
  projectId: string,
  inputs: StepInputs,
  allowPrivate: boolean,
): Promise<WorkflowStep[]> {
  const normalized = normalizeSteps(inputs);
  if (!normalized.ok) throw validationError(normalized.issues);
  const { steps } = normalized;
  const references = steps.flatMap((step) => (step.job_id === null ? [] : [step.job_id]));
  const ids = await jobs.resolve(db, projectId, references);
  const issues: ErrorIssue[] = [];
  const resolved = steps.map((step, index) => {
    issues.push(
      ...waitIssues(
        projectId,
        { ...step, timeout_payload: inputs[index]?.timeout_payload },
        `/steps/${index}`,
        allowPrivate,
      ),
    );
    if (step.job_id === null) return step;
    const id = ids.get(step.job_id);
    if (id === undefined) {
      issues.push(unknownJob(index, step.job_id));
    }
    return { ...step, job_id: id ?? step.job_id };
  });
  const [first, ...rest] = issues;
  if (first) throw validationError([first, ...rest]);
  return resolved;
}

/** The order in which steps can start, for a definition that is only to be looked at. */
export function describeGraph(steps: readonly WorkflowStep[]): {
  step_count: number;
  roots: string[];
  order: string[];
} {
  return { step_count: steps.length, roots: rootSteps(steps), order: topologicalOrder(steps) };
}

/** @throws {StraitError} `conflict` when the slug is taken; `validation_error`. */
export async function createWorkflow(
  context: Context,
  caller: Caller,
  input: WorkflowInput & { readonly name: string; readonly slug: string },
): Promise<Workflow> {
  const { db, clock, allowPrivateEndpoints } = context;
  return db.transaction(async (tx) => {
    const steps = await checkSteps(tx, caller.projectId, input.steps ?? [], allowPrivateEndpoints);
    const workflow = await workflows.insert(tx, {
      id: clock.newId("wf"),
      project_id: caller.projectId,
      environment_id: caller.environmentId,
      name: input.name,
      slug: input.slug,
      description: input.description ?? null,
      tags: input.tags ?? {},
      enabled: input.enabled ?? true,
      steps,
    });
    if (!workflow) throw slugTaken("workflow", input.slug);
    await audit(context, tx, caller, "workflow.create", [workflow.id], { slug: workflow.slug });
    return workflow;
  });
}

/**
 * Writes the next version of a workflow. Runs under way keep the version that they started with.
 *
 * @throws {StraitError} `not_found`; `conflict` when the new slug is taken; `validation_error`.
 */
export async function updateWorkflow(
  context: Context,
  caller: Caller,
  reference: string,
  input: WorkflowInput,
): Promise<Workflow> {
  const { db, allowPrivateEndpoints } = context;
  return db.transaction(async (tx) => {
    const current = await workflows.lock(tx, caller.projectId, reference);
    if (!current) throw notFound("workflow", reference);
    const steps = input.steps && (await checkSteps(tx, caller.projectId, input.steps, allowPrivateEndpoints));
    const updated = await workflows.update(tx, {
      ...current,
      name: input.name ?? current.name,
      slug: input.slug ?? current.slug,
      description: input.description === undefined ? current.description : input.description,
      tags: input.tags ?? current.tags,
      enabled: input.enabled ?? current.enabled,
      steps: steps ?? current.steps,
    });
    if (!updated) throw slugTaken("workflow", input.slug ?? current.slug);
    await audit(context, tx, caller, "workflow.update", [updated.id], {
      slug: updated.slug,
      version: updated.version,
      changed: Object.keys(input),
    });
    return updated;
  });
}

/** @throws {StraitError} `not_found`; `conflict` while a run has not ended. */
export async function deleteWorkflow(context: Context, caller: Caller, reference: string): Promise<void> {
  await context.db.transaction(async (tx) => {
    const workflow = await workflows.lock(tx, caller.projectId, reference);
    if (!workflow) throw notFound("workflow", reference);
    if (await workflowRuns.hasLive(tx, caller.projectId, workflow.id)) throw hasLiveRuns("workflow", workflow.slug);
    await workflows.remove(tx, caller.projectId, workflow.id);
    await audit(context, tx, caller, "workflow.delete", [workflow.id], { slug: workflow.slug });
  });
}
