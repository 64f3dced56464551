import type { Job, Run } from "@strait/contract";
import { asciiJson, classOfStatus, endpointAnswered, endpointUnreachable } from "@strait/server/pure";
import { endRun, failAttempt, resumeRun } from "./runs.ts";
import type { Store } from "./store.ts";

/** The endpoint of every job: gets what a server would POST to `endpoint_url`, and answers as an executor would. */
export type Executor = (request: Request) => Response | Promise<Response>;

/** The request that a dispatch is; unsigned, since a mock has no secret. */
export function dispatchRequest(run: Run, job: Job, token: string): Request {
  const headers = new Headers({
    "content-type": "application/json",
    "x-run-id": run.id,
    "x-job-id": run.job_id,
    "x-attempt": String(run.attempt),
    "x-dispatch": String(run.dispatch_seq),
    "x-run-token": token,
  });
  if (run.resume_reason !== null) headers.set("x-resume-reason", run.resume_reason);
  if (run.checkpoint !== null) headers.set("x-last-checkpoint", asciiJson(JSON.stringify(run.checkpoint)));
  if (run.error !== null && run.attempt > 1) headers.set("x-previous-error", encodeURIComponent(run.error));
  return new Request(job.endpoint_url, { method: "POST", headers, body: JSON.stringify(run.payload) });
}

/** What the answer of an executor means for its run, if that dispatch is still the latest and the run executes. */
export async function applyOutcome(
  store: Store,
  { id, dispatch_seq }: Run,
  answered: Promise<Response>,
): Promise<void> {
  const outcome = await read(answered);
  const run = store.runs.get(id);
  if (run?.dispatch_seq !== dispatch_seq || run.status !== "executing") return;
  if ("error" in outcome) {
    failAttempt(store, run, {
      error: endpointUnreachable(outcome.error),
      error_class: "connection",
    });
    return;
  }
  const { status, said, text } = outcome;
  if (status < 200 || status > 299) {
    const error = endpointAnswered(status, text.slice(0, 500));
    failAttempt(store, run, { error, error_class: classOfStatus(status) });
    return;
  }
  // A run that goes on by itself says so; one that returns before it has used an event that was there gets it again.
  const hasTaken = store.taken.delete(id);
  if (hasTaken && said !== "completed" && (said === "waiting" || status !== 202)) resumeRun(store, run, "event", {});
  else if (said !== "waiting" && status !== 202) endRun(store, run, "complete", { result: parsed(text) });
}

async function read(
  answered: Promise<Response>,
): Promise<{ status: number; said: string | null; text: string } | { readonly error: string }> {
  try {
    const response = await answered;
    return { status: response.status, said: response.headers.get("strait-outcome"), text: await response.text() };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** What is no JSON is kept as a text. */
function parsed(text: string): Run["result"] {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
