import { expect } from "vitest";
import {
  type Dispatch,
  type Executor,
  type ExecutorAnswer,
  eventually,
  startExecutor,
  type TestServer,
} from "./server.ts";

/** A step as a test compares it. */
export interface StepRow {
  readonly id: string;
  readonly step_ref: string;
  readonly type: string;
  readonly status: string;
  readonly attempt: number;
  readonly job_run_id: string | null;
  readonly event_trigger_id: string | null;
  readonly output: unknown;
  readonly error: string | null;
}

export interface StagedWorkflowRun {
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  read(): Promise<any>;
  /** The steps by their refs. */
  steps(): Promise<Record<string, StepRow>>;
  /** The status of each step by its ref. */
  statuses(): Promise<Record<string, string>>;
  /** Resolves with the steps when the step has the status. */
  step(ref: string, status: string): Promise<Record<string, StepRow>>;
  /** Resolves with the run when it has the status. */
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  is(status: string): Promise<any>;
}

export interface WorkflowStage {
  readonly executor: Executor;
  /** Dispatches to the job with this slug, oldest first. */
  dispatchesTo(slug: string): readonly Dispatch[];
  trigger(payload?: unknown): Promise<StagedWorkflowRun>;
}

export interface WorkflowStageOptions {
  readonly handle?: (dispatch: Dispatch) => ExecutorAnswer | Promise<ExecutorAnswer>;
  readonly slug?: string;
  /** Merged into every job. */
  readonly job?: object;
}

/**
 * A workflow of the given steps, with a job for each slug that they name and one executor for all of them, which by
 * default answers `{"done": <slug>}`.
 */
export async function startWorkflowStage(
  strait: TestServer,
  steps: readonly object[],
  options: WorkflowStageOptions = {},
): Promise<WorkflowStage> {
  const { handle = ({ path }) => ({ body: { done: path.slice(1) } }), slug = "staged", job = {} } = options;
  const executor = await startExecutor(handle);
  const slugs = new Set(steps.flatMap((step) => ("job_id" in step ? [String(step.job_id)] : [])));
  for (const name of slugs) {
    const body = { name, slug: name, endpoint_url: `${executor.url}/${name}`, ...job };
    expect((await strait.request("POST", "/v1/jobs", { body })).status).toBe(201);
  }
  const created = await strait.request("POST", "/v1/workflows", { body: { name: "Staged", slug, steps } });
  expect(created, JSON.stringify(created.body)).toHaveProperty("status", 201);

  return {
    executor,
    dispatchesTo: (name) => executor.dispatches.filter(({ path }) => path === `/${name}`),
    trigger: (payload) => startWorkflowRun(strait, slug, payload),
  };
}

export async function startWorkflowRun(
  strait: TestServer,
  slug: string,
  payload: unknown = {},
): Promise<StagedWorkflowRun> {
  const started = await strait.request("POST", `/v1/workflows/${slug}/trigger`, { body: { payload } });
  expect(started, JSON.stringify(started.body)).toHaveProperty("status", 201);
  const { id } = started.body;
  const read = async () => (await strait.request("GET", `/v1/workflow-runs/${id}`)).body;
  const steps = async () => {
    const { body } = await strait.request("GET", `/v1/workflow-runs/${id}/steps?limit=100`);
    return Object.fromEntries(body.data.map((step: StepRow) => [step.step_ref, step])) as Record<string, StepRow>;
  };
  return {
    id,
    read,
    steps,
    async statuses() {
      return Object.fromEntries(Object.entries(await steps()).map(([ref, { status }]) => [ref, status]));
    },
    step: (ref, status) =>
      eventually(async () => {
        const rows = await steps();
        return rows[ref]?.status === status && rows;
      }),
    is: (status) =>
      eventually(async () => {
        const run = await read();
        return run.status === status && run;
      }),
  };
}
