import { type Executor, startExecutor } from "@strait/example-support/executor";
import { type BearerOperationsPromise, createClient } from "@strait/ts";
import type { Mark, Panel } from "./screen.ts";
import { type Answer, aMoment, completed, type Stage } from "./stage.ts";
import { follow } from "./stream.ts";

type WorkflowDefinition = Parameters<BearerOperationsPromise["postV1Workflows"]>[0]["body"];

/** Pattern 1 of the guide, word for word: somebody outside decides in the middle of a workflow. */
const workflow: WorkflowDefinition = {
  name: "KYC Onboarding",
  slug: "kyc-onboarding",
  steps: [
    {
      step_ref: "collect-data",
      job_id: "job_collect_user_data",
    },
    {
      step_ref: "aml-check",
      type: "wait_for_event",
      event_key: "aml:{{payload.user_id}}",
      timeout_secs: 86400,
      depends_on: ["collect-data"],
    },
    {
      step_ref: "create-account",
      job_id: "job_create_account",
      depends_on: ["aml-check"],
    },
  ],
};

/** What the workflow starts with. */
interface Applicant {
  readonly user_id: string;
}

/** What the AML provider says. */
interface AmlResult {
  readonly result: "clear" | "hit";
  readonly risk_score: number;
}

type StepRun = Answer<"getV1WorkflowRunsByWorkflowRunIDSteps">["data"][number];
/** What the stream of a workflow run tells. */
type Progress = Answer<"getV1WorkflowRunsByWorkflowRunID"> & { readonly steps: readonly StepRun[] };

/** The payload of `create-account`: that of the workflow, and what the step before it gave. */
type AccountPayload = Applicant & { readonly parent_outputs: { readonly "aml-check": AmlResult } };

/** Runs the workflow up to its end, and plays the AML provider in the middle of it. */
export async function playKyc(stage: Stage): Promise<void> {
  const accounts: AccountPayload[] = [];
  const executor = await startExecutor(stage.project.signingSecret, {
    async job_collect_user_data({ payload }) {
      await aMoment();
      const { user_id } = payload as Applicant;
      return { result: { user_id, name: "Ada Example" } };
    },
    async job_create_account({ payload }) {
      await aMoment();
      accounts.push(payload as AccountPayload);
      return { result: { account: "open" } };
    },
  });
  try {
    await defineWorkflow(stage, executor);
    await runWorkflow(stage, accounts);
  } finally {
    await executor.close();
  }
}

/** Jobs first: a workflow names those that exist. */
async function defineWorkflow({ project }: Stage, executor: Executor): Promise<void> {
  const strait = project.client.operationsPromise;
  await strait.postV1Jobs({
    body: {
      name: "Collect user data",
      slug: "job_collect_user_data",
      endpoint_url: executor.endpointOf("job_collect_user_data"),
    },
  });
  await strait.postV1Jobs({
    body: {
      name: "Create account",
      slug: "job_create_account",
      endpoint_url: executor.endpointOf("job_create_account"),
    },
  });
  await strait.postV1Workflows({ body: workflow });
}

async function runWorkflow(stage: Stage, accounts: readonly AccountPayload[]): Promise<void> {
  const { baseUrl, project, screen, checklist, signal } = stage;
  const panel = screen.panel("1  A workflow that waits for an outside decision (KYC onboarding)");
  const run = await project.client.operationsPromise.postV1WorkflowsByWorkflowIDTrigger({
    pathParams: { workflowID: workflow.slug },
    body: { payload: { user_id: "user-456" } satisfies Applicant },
  });
  const url = `${baseUrl}/v1/workflow-runs/${run.id}/stream`;
  const live = follow<Progress>({ url, apiKey: project.apiKey, signal }, ({ steps }) => {
    for (const step of steps) showStep(panel, step);
  });

  const isAt = (ref: string, status: string) => (progress: Progress) =>
    progress.steps.some((step) => step.step_ref === ref && step.status === status);
  await checklist.happens("collect-data completes", live.until(isAt("collect-data", "completed")));
  await checklist.happens("aml-check waits for its event", live.until(isAt("aml-check", "waiting")));
  await aMoment();
  await playAmlProvider(stage, panel);

  const end = live.until(({ finished_at }) => finished_at !== null);
  await checklist.happens("the workflow run completes", end.then(completed));
  const [account] = accounts;
  const received = account?.parent_outputs["aml-check"].result;
  checklist.equals("create-account received {{parent_outputs.aml-check.result}}", received, "clear");
  panel.set("received", "done", `create-account received {{parent_outputs.aml-check.result}}: "${received}"`);
}

/** Your webhook endpoint, when the AML provider calls it: it forwards the result, with a key that can do nothing else. */
async function playAmlProvider({ baseUrl, project, checklist, signal }: Stage, panel: Panel): Promise<void> {
  const { key } = await project.client.operationsPromise.postV1ApiKeys({
    body: { name: "AML webhook", scopes: ["events:write"] },
  });
  const webhook = createClient({ baseUrl, auth: { type: "bearer", token: key } });
  const payload: AmlResult = { result: "clear", risk_score: 0.05 };
  panel.set("send", "sent", `the AML provider answers: send aml:user-456 ${JSON.stringify(payload)}`);
  const sent = await webhook.operationsPromise.postV1EventsByEventKeySend({
    pathParams: { eventKey: "aml:user-456" },
    body: { payload },
    signal,
  });
  panel.set("sent", "got", `${sent.status} (${sent.disposition}), so the workflow goes on`);
  checklist.equals("the AML result is delivered to the step that waits", sent.disposition, "delivered");
}

const markOf: Readonly<Record<string, Mark>> = {
  pending: "idle",
  waiting: "active",
  running: "active",
  completed: "done",
  failed: "failed",
  canceled: "failed",
  skipped: "failed",
};

function showStep(panel: Panel, { step_ref, type, status, output, error }: StepRun): void {
  const isOpenWait = type === "wait_for_event" && status === "waiting";
  const detail = error ?? (isOpenWait ? "for the event aml:user-456" : output === null ? "" : JSON.stringify(output));
  panel.set(step_ref, markOf[status] ?? "idle", `${step_ref.padEnd(16)} ${status.padEnd(10)} ${detail}`.trimEnd());
}
