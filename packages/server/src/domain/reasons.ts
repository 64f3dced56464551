// Why something has ended, as its `error` says it.

/** @param what - `run`, `workflow run`. */
export const canceledBecause = (what: "run" | "workflow run", reason?: string): string =>
  `${what} canceled${because(reason)}`;

export const waitCanceled = (actor: string, reason: string | null): string =>
  `event trigger canceled by ${actor}${because(reason ?? undefined)}`;

export const waitRejected = (actor: string, reason: string): string => `event trigger rejected by ${actor}: ${reason}`;

/**
 * @param id - Of the wait that took the key.
 * @param owner - Whose wait that is.
 */
export function waitSuperseded(
  id: string,
  owner: { readonly job_run_id: string } | { readonly workflow_run_id: string },
): string {
  const whose = "job_run_id" in owner ? `run ${owner.job_run_id}` : `workflow run ${owner.workflow_run_id}`;
  return `event trigger superseded by the wait ${id} of ${whose}`;
}

export const WAIT_TIMED_OUT = "event trigger timed out";

/** Of a run, whose wait ended without a reason of its own. */
export const waitEnded = ({ event_key, status }: { readonly event_key: string; readonly status: string }): string =>
  `the wait on ${JSON.stringify(event_key)} is ${status}`;

/** Of steps that were not over. */
export const WORKFLOW_RUN_FAILED = "the workflow run failed";

/** Of a step whose job cannot run, if there still is one. */
export const unusableJob = (id: string, isThere: boolean): string =>
  `job ${id} ${isThere ? "is disabled" : "no longer exists"}`;

/** Of an attempt. @param said - As much of the answer as is to be shown. */
export const endpointAnswered = (status: number, said: string): string =>
  `the endpoint answered ${status}${because(said)}`;

export const endpointUnreachable = (why: string): string => `the endpoint could not be reached: ${why}`;

const because = (reason = ""): string => (reason === "" ? "" : `: ${reason}`);
