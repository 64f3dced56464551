import { type Dispatch, type Outcome, startExecutor } from "@strait/example-support/executor";
import { createClient } from "@strait/ts";
import type { Mark } from "./screen.ts";
import { type Answer, aMoment, completed, type Stage } from "./stage.ts";
import { follow } from "./stream.ts";

type Run = Answer<"getV1RunsByRunID">;

/** What the reviewer decides; it becomes the checkpoint of the run. */
interface Review {
  readonly approved: boolean;
  readonly reviewer: string;
  readonly comments: string;
}

const DOCUMENT = "doc-7";
const KEY = `review:${DOCUMENT}`;
const REVIEW: Review = { approved: true, reviewer: "alice", comments: "Looks good" };

/** Patterns 5 and 7 of the guide: a job pauses in the middle of its work, and goes on with what a person decided. */
export async function playReview(stage: Stage): Promise<void> {
  const dispatches: Dispatch[] = [];
  const executor = await startExecutor(stage.project.signingSecret, {
    review_document(dispatch) {
      dispatches.push(dispatch);
      return reviewDocument(stage.baseUrl, dispatch);
    },
  });
  try {
    await stage.project.client.operationsPromise.postV1Jobs({
      body: { name: "Review document", slug: "review_document", endpoint_url: executor.endpointOf("review_document") },
    });
    await runJob(stage, dispatches);
  } finally {
    await executor.close();
  }
}

/** The job. It is called twice: to ask for the review, and with the review as its checkpoint. */
async function reviewDocument(baseUrl: string, { runId, runToken, checkpoint }: Dispatch): Promise<Outcome> {
  if (checkpoint !== undefined) {
    await aMoment();
    const { approved, reviewer } = checkpoint as Review;
    return { result: { document: DOCUMENT, published: approved, reviewed_by: reviewer } };
  }
  const own = createClient({ baseUrl, auth: { type: "runToken", token: runToken } }).operationsPromise;
  await own.postSdkV1RunsByRunIDProgress({
    pathParams: { runID: runId },
    body: { percent: 50, message: "Waiting for manual review" },
  });
  await aMoment();
  await own.postSdkV1RunsByRunIDWaitForEvent({
    pathParams: { runID: runId },
    body: { event_key: KEY, timeout_secs: 172_800 },
  });
  return "waiting";
}

async function runJob(stage: Stage, dispatches: readonly Dispatch[]): Promise<void> {
  const { baseUrl, project, screen, checklist, signal } = stage;
  const strait = project.client.operationsPromise;
  const panel = screen.panel("2  A job that pauses for a reviewer, and goes on with the decision (document review)");
  const triggered = await strait.postV1JobsByJobIDTrigger({
    pathParams: { jobID: "review_document" },
    body: { payload: { document: DOCUMENT } },
    signal,
  });
  if ("dry_run" in triggered) throw new Error("nobody asked for a dry run");
  const url = `${baseUrl}/v1/runs/${triggered.id}/stream`;
  const live = follow<Run>({ url, apiKey: project.apiKey, signal }, (run) => {
    panel.set("run", markOf(run), describe(run));
    if (run.progress) panel.set("progress", "done", `reported ${run.progress.percent} %: ${run.progress.message}`);
  });

  const reported = live.until(({ progress }) => progress?.percent === 50);
  await checklist.happens("the job reports its progress", reported);
  const waits = live.until(({ status }) => status === "waiting");
  await checklist.happens("the run waits for the review", waits);
  await aMoment();

  panel.set("send", "sent", `alice approves: send ${KEY} ${JSON.stringify(REVIEW)}`);
  const sent = await strait.postV1EventsByEventKeySend({
    pathParams: { eventKey: KEY },
    body: { payload: REVIEW },
    signal,
  });
  panel.set("sent", "got", `${sent.status} (${sent.disposition}), so the job is dispatched again`);
  checklist.equals("the review is delivered to the run that waits", sent.disposition, "delivered");

  const end = live.until(({ finished_at }) => finished_at !== null);
  const { result } = await checklist.happens("the run completes", end.then(completed));
  const received = dispatches.map(({ number, checkpoint }) => ({ number, checkpoint }));
  checklist.equals("the job was dispatched again, with the review as its checkpoint", received, [
    { number: 1, checkpoint: undefined },
    { number: 2, checkpoint: REVIEW },
  ]);
  panel.set("again", "done", "dispatch 2 brought the review as the checkpoint (X-Last-Checkpoint)");
  panel.set("result", "done", `result: ${JSON.stringify(result)}`);
}

function markOf({ status }: Run): Mark {
  if (status === "completed") return "done";
  return status === "queued" || status === "executing" || status === "waiting" ? "active" : "failed";
}

function describe({ status, dispatch_seq, error }: Run): string {
  const detail = error ?? (status === "waiting" ? `for the event ${KEY}` : `dispatch ${dispatch_seq}`);
  return `${"review_document".padEnd(16)} ${status.padEnd(10)} ${detail}`;
}
