import type { DryRun, Job, TriggeredRun } from "@strait/contract";
import { disabled } from "../domain/conflicts.ts";
import { notFound, payloadMismatch } from "../domain/errors.ts";
import type { TriggerInput } from "../domain/request-defaults.ts";
import { sql } from "../store/sql.ts";
import type { Caller, Context } from "./context.ts";
import { type EnqueuedRun, enqueueRuns, payloadHash, type RunRequest } from "./enqueue-run.ts";
import type { Batched } from "./lane.ts";
import { schemasOf } from "./payload-schema.ts";
import { type RunTokens, TOKEN_GRACE_SECS } from "./run-token.ts";

interface Deps {
  readonly context: Context;
  readonly tokens: RunTokens;
}

/**
 * Starts one run of a job.
 *
 * @throws {StraitError} `not_found`; `conflict` when the job is disabled; `payload_mismatch`; `idempotency_mismatch`.
 */
export async function triggerJob(
  { context, tokens }: Deps,
  lane: Batched<RunRequest, EnqueuedRun>,
  caller: Caller,
  reference: string,
  input: TriggerInput,
): Promise<TriggeredRun> {
  const job = await enabledJob(context, caller, reference, [input], () => "/payload");
  const run = await lane.add(toRequest(caller, job, input, null));
  return toTriggered(tokens, job, run);
}

/** What a trigger would do, without doing it. */
export async function dryRunTrigger(
  { context }: Deps,
  caller: Caller,
  reference: string,
  input: TriggerInput,
): Promise<DryRun> {
  const job = await enabledJob(context, caller, reference, [input], () => "/payload");
  const [time] = await context.db.query<{ expires_at: string | null; scheduled_at: string | null }>(sql`
    SELECT ${input.scheduled_at}::timestamptz AS scheduled_at,
      coalesce(${input.scheduled_at}::timestamptz, strait_now())
        + make_interval(secs => ${input.ttl_secs ?? job.run_ttl_secs}::int) AS expires_at`);
  return {
    dry_run: true,
    job_id: job.id,
    payload_hash: payloadHash(input.payload),
    payload: input.payload,
    scheduled_at: time?.scheduled_at ?? null,
    expires_at: time?.expires_at ?? null,
  };
}

/**
 * Starts many runs of a job, all or none. Two items with one idempotency key get one run.
 *
 * @throws {StraitError} As `triggerJob`.
 */
export async function triggerJobInBulk(
  { context, tokens }: Deps,
  caller: Caller,
  reference: string,
  items: readonly TriggerInput[],
): Promise<{ batch_id: string; results: TriggeredRun[]; total: number; created: number }> {
  const job = await enabledJob(context, caller, reference, items, (index) => `/items/${index}/payload`);
  const batch_id = context.clock.newId("batch");
  const runs = await enqueueRuns(
    context,
    context.db,
    items.map((item) => toRequest(caller, job, item, batch_id)),
  );
  const results = runs.map((run) => toTriggered(tokens, job, run));
  return { batch_id, results, total: results.length, created: results.filter((run) => !run.idempotency_hit).length };
}

/**
 * The job that a trigger names, which would take the payloads.
 *
 * @throws {StraitError} `not_found`; `conflict` when it is disabled; `payload_mismatch`.
 */
export async function enabledJob(
  context: Context,
  caller: Caller,
  reference: string,
  items: readonly Pick<TriggerInput, "payload">[],
  fieldOf: (index: number) => string,
): Promise<Job> {
  const job = await context.jobs.find(caller.projectId, reference);
  if (!job) throw notFound("job", reference);
  if (!job.enabled) throw disabled("job", job.slug);
  if (job.payload_schema !== null) {
    const issues = items.flatMap((item, index) =>
      schemasOf(job.project_id).payloadIssues(job.payload_schema, item.payload, fieldOf(index)),
    );
    const [first, ...rest] = issues;
    if (first) throw payloadMismatch([first, ...rest]);
  }
  return job;
}

export function toRequest(caller: Caller, job: Job, input: TriggerInput, batch_id: string | null): RunRequest {
  // Member by member: a spread of what has many costs fifty times as much, on the path of every run.
  return {
    payload: input.payload,
    tags: input.tags,
    scheduled_at: input.scheduled_at,
    priority: input.priority,
    ttl_secs: input.ttl_secs,
    idempotency_key: input.idempotency_key,
    job,
    environmentId: caller.environmentId,
    batch_id,
    triggered_by: "manual",
    actor: caller.actor,
  };
}

/** The token is for the run's first dispatch; a repeated trigger gets none, since that one may be over. */
function toTriggered(tokens: RunTokens, job: Job, run: EnqueuedRun): TriggeredRun {
  const { id, status, payload_hash, idempotency_hit, attempt, dispatch_seq } = run;
  const claims = { runId: id, projectId: job.project_id, attempt, dispatchSeq: dispatch_seq };
  const run_token = idempotency_hit ? null : tokens.sign(claims, job.timeout_secs + TOKEN_GRACE_SECS);
  return { id, status, payload_hash, run_token, idempotency_hit };
}
