import type { Api } from "./api.ts";
import { same } from "./expect.ts";
import { eventually } from "./patience.ts";

/** A step as it stands. */
export interface StepState {
  readonly status: string;
  readonly output: unknown;
  readonly error: string | null;
  readonly event_trigger_id: string | null;
  readonly job_run_id: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

export interface WorkflowRun {
  readonly id: string;
  /** The steps by their refs. */
  steps(): Promise<Readonly<Record<string, StepState>>>;
  /** Resolves with the step when it has the status. */
  step(ref: string, status: string): Promise<StepState>;
  /** Resolves with the run when it has the status. */
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  is(status: string): Promise<any>;
}

export async function startWorkflow(
  api: Api,
  slug: string,
  steps: readonly object[],
  payload: unknown,
): Promise<WorkflowRun> {
  const saved = await api.request("POST", "/v1/workflows", { body: { name: slug, slug, steps } });
  same(saved.status, 201, `the status of saving a workflow (${JSON.stringify(saved.body)})`);
  const started = await api.request("POST", `/v1/workflows/${slug}/trigger`, { body: { payload } });
  same(started.status, 201, `the status of starting a workflow (${JSON.stringify(started.body)})`);
  const { id } = started.body;

  async function readSteps(): Promise<Record<string, StepState>> {
    const { body } = await api.request("GET", `/v1/workflow-runs/${id}/steps?limit=100`);
    return Object.fromEntries(body.data.map((step: StepState & { step_ref: string }) => [step.step_ref, step]));
  }
  return {
    id,
    steps: readSteps,
    step: (ref, status) =>
      eventually(`step ${ref} that is ${status}`, async () => {
        const step = (await readSteps())[ref];
        return step?.status === status ? step : undefined;
      }),
    is: (status) =>
      eventually(`a workflow run that is ${status}`, async () => {
        const { body } = await api.request("GET", `/v1/workflow-runs/${id}`);
        return body.status === status ? body : undefined;
      }),
  };
}
