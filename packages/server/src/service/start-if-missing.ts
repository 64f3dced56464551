import { StraitError, unavailable } from "../domain/errors.ts";
import { joined, type Transaction } from "../store/database.ts";
import * as idempotency from "../store/idempotency.ts";
import { requireScope } from "../wire/credentials.ts";
import type { Caller, Context } from "./context.ts";
import { enqueueRuns, type RunRequest } from "./enqueue-run.ts";
import { enabledJob, toRequest } from "./trigger-job.ts";

/** The run that is to be started when nobody has started it yet. */
export interface StartIfMissing {
  /** An id or a slug. */
  readonly job_id: string;
  readonly payload: unknown;
  readonly tags: Record<string, string>;
}

/**
 * Checks what is to be started under an id of the caller's own. Whether or not it will be: a request is not to be refused
 * only when it matters.
 *
 * @throws {StraitError} `forbidden`; `not_found`; `conflict` when the job is disabled; `payload_mismatch`.
 */
export async function missingRun(
  context: Context,
  caller: Caller,
  runId: string,
  { job_id, payload, tags }: StartIfMissing,
): Promise<RunRequest> {
  requireScope(caller.scopes, "jobs:trigger");
  const job = await enabledJob(context, caller, job_id, [{ payload }], () => "/start_if_missing/payload");
  const input = { payload, tags, scheduled_at: null, priority: 0, ttl_secs: null, idempotency_key: runId };
  return toRequest(caller, job, input, null);
}

/** Starts the run, unless one was started under its idempotency key already; its id in either case. */
export async function startIfMissing(context: Context, tx: Transaction, request: RunRequest): Promise<string> {
  try {
    const [run] = await enqueueRuns(context, joined(tx), [request]);
    if (run) return run.id;
  } catch (error) {
    if (!(error instanceof StraitError) || error.code !== "idempotency_mismatch") throw error;
  }
  // It was started with another input, by whoever came first.
  const { project_id, id: job_id } = request.job;
  const key = { project_id, job_id, key: request.idempotency_key ?? "", run_id: "", body_hash: "" };
  const [run] = await idempotency.findRuns(tx, [key]);
  if (!run) throw unavailable("the run under this id is being deleted; send the message again");
  return run.run_id;
}
