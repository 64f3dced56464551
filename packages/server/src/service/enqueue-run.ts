import { hash } from "node:crypto";
import type { Job, RunStatus } from "@strait/contract";
import { canonicalJson } from "@strait/core";
import { conflict, idempotencyMismatch, unavailable } from "../domain/errors.ts";
import type { Database, Transaction } from "../store/database.ts";
import * as idempotency from "../store/idempotency.ts";
import type { ClaimedRun } from "../store/runs.ts";
import * as runs from "../store/runs.ts";
import type { Queryable } from "../store/sql.ts";
import type { Context } from "./context.ts";
import { type Batched, done, Lane, LOCK_TIMEOUT_MS, type Outcome, REQUESTS, refused } from "./lane.ts";

/** One run to be made of a job. */
export interface RunRequest {
  readonly job: Job;
  readonly environmentId: string;
  readonly payload: unknown;
  readonly tags: Record<string, string>;
  readonly scheduled_at: string | null;
  readonly priority: number;
  readonly ttl_secs: number | null;
  readonly batch_id: string | null;
  readonly idempotency_key: string | null;
  readonly triggered_by: string;
  readonly actor: string;
  readonly workflow?: { readonly workflow_run_id: string; readonly workflow_step_run_id: string } | undefined;
}

export interface EnqueuedRun {
  readonly id: string;
  readonly status: RunStatus;
  readonly payload_hash: string;
  /** The run was there already, under the same idempotency key. */
  readonly idempotency_hit: boolean;
  /** Of the dispatch that a token may be made for now. */
  readonly dispatch_seq: number;
  readonly attempt: number;
}

interface Enqueuing extends RunRequest {
  readonly id: string;
  readonly payload_text: string;
  readonly payload_hash: string;
  readonly body_hash: string;
}

const sha256 = (text: string): string => hash("sha256", text);

/** SHA-256 of the canonical payload: two payloads that are equal as JSON have the same. */
export const payloadHash = (payload: unknown): string => sha256(canonicalJson(payload));

/** Enqueues single runs, in batches of what has piled up. */
export function enqueueRunLane(context: Context): Batched<RunRequest, EnqueuedRun> {
  const lane = new Lane<Enqueuing, EnqueuedRun>({
    sizeOf: (run) => run.payload_text.length + 200,
    subjectOf: (run) => (run.idempotency_key === null ? null : keyId(runKey(run))),
    capacity: REQUESTS,
    async run(items, repeated) {
      const isKeyed = items.some((item) => item.idempotency_key !== null);
      // One statement is a transaction; a second one is only needed for keys, and after a lost acknowledgement.
      if (!isKeyed && !repeated) return insertAll(context, context.db, items);
      return context.db.transaction((tx) => enqueueKeyed(context, tx, items, repeated), {
        lockTimeoutMs: LOCK_TIMEOUT_MS,
      });
    },
  });
  return {
    add: (request) => lane.add(prepared(context, request)),
    idle: () => lane.idle(),
  };
}

/** Enqueues several runs at once, all or none. @throws {StraitError} What refuses one of them. */
export function enqueueRuns(
  context: Context,
  db: Database,
  requests: readonly RunRequest[],
): Promise<readonly EnqueuedRun[]> {
  const items = requests.map((request) => prepared(context, request));
  return db.transaction(async (tx) => {
    const outcomes = await enqueueKeyed(context, tx, items, false);
    return outcomes.map((outcome) => {
      if (!outcome.ok) throw outcome.error;
      return outcome.value;
    });
  });
}

function prepared({ clock }: Context, request: RunRequest): Enqueuing {
  const canonical = canonicalJson(request.payload);
  const payload_hash = sha256(canonical);
  const { scheduled_at, priority, ttl_secs, tags } = request;
  // Member by member: to merge objects takes V8 longer than everything else that is done here.
  return {
    job: request.job,
    environmentId: request.environmentId,
    payload: request.payload,
    tags,
    scheduled_at,
    priority,
    ttl_secs,
    batch_id: request.batch_id,
    idempotency_key: request.idempotency_key,
    triggered_by: request.triggered_by,
    actor: request.actor,
    workflow: request.workflow,
    id: clock.newId("run"),
    payload_text: JSON.stringify(request.payload),
    payload_hash,
    body_hash:
      request.idempotency_key === null
        ? payload_hash
        : sha256(canonicalJson({ payload_hash, scheduled_at, priority, ttl_secs, tags })),
  };
}

async function enqueueKeyed(
  context: Context,
  tx: Transaction,
  items: readonly Enqueuing[],
  repeated: boolean,
): Promise<readonly Outcome<EnqueuedRun>[]> {
  const answers = new Map<Enqueuing, Outcome<EnqueuedRun>>();
  if (repeated) {
    const standing = new Map((await runs.statuses(tx, items)).map((run) => [run.id, run]));
    for (const item of items) {
      const run = standing.get(item.id);
      if (run) answers.set(item, done(answer(item, run.status, run.dispatch_seq)));
    }
  }
  const keyed = items.filter((item) => item.idempotency_key !== null && !answers.has(item));
  const won = keyed.length === 0 ? new Set<string>() : await idempotency.takeForRuns(tx, keyed.map(runKey));
  const lost = keyed.filter((item) => !won.has(item.id));
  const born = items.filter((item) => !answers.has(item) && (item.idempotency_key === null || won.has(item.id)));
  for (const [index, outcome] of (await insertAll(context, tx, born, tx)).entries()) {
    const item = born[index];
    if (item) answers.set(item, outcome);
  }
  if (lost.length > 0) {
    const holders = new Map((await idempotency.findRuns(tx, lost.map(runKey))).map((row) => [keyId(row), row]));
    for (const item of lost) answers.set(item, hit(item, holders.get(keyId(runKey(item)))));
  }
  return items.map(
    (item) => answers.get(item) ?? refused(unavailable("the run was not enqueued; send the request again")),
  );
}

function hit(item: Enqueuing, holder: idempotency.KeyedRun | undefined): Outcome<EnqueuedRun> {
  if (!holder) return refused(conflict("the run under this idempotency key is being deleted; send the request again"));
  if (holder.body_hash !== item.body_hash) return refused(idempotencyMismatch(holder.key));
  return done({
    id: holder.run_id,
    status: holder.status as RunStatus,
    payload_hash: item.payload_hash,
    idempotency_hit: true,
    dispatch_seq: Math.max(holder.dispatch_seq, 1),
    attempt: holder.attempt,
  });
}

/**
 * Inserts runs, claiming them at once as far as there is room (L3): they are dispatched right after the commit, and the
 * queue sees only what this process cannot take.
 */
async function insertAll(
  { worker, signals }: Context,
  db: Queryable,
  items: readonly Enqueuing[],
  tx?: Transaction,
): Promise<readonly Outcome<EnqueuedRun>[]> {
  if (items.length === 0) return [];
  const leases = items.map((item) => (item.scheduled_at === null ? worker.reserve(item.job.project_id) : null));
  const giveBack = (except: ReadonlySet<string>) => {
    for (const [index, item] of items.entries()) {
      if (leases[index] !== null && !except.has(item.id)) worker.release(item.job.project_id, 1);
    }
  };
  let inserted: Map<string, runs.InsertedRun>;
  try {
    const rows = items.map((item, index) => newRun(item, leases[index] ?? null));
    inserted = new Map((await runs.insert(db, rows)).map((run) => [run.id, run]));
  } catch (error) {
    giveBack(new Set());
    throw error;
  }
  const started = items.filter((item) => inserted.get(item.id)?.status === "executing");
  giveBack(new Set(started.map((item) => item.id)));
  const signingVersions = new Map([...inserted.values()].map((run) => [run.id, run.signing_version]));
  const afterCommit = () => {
    worker.start(started.map((item) => claimed(item, signingVersions.get(item.id) ?? 1)));
    if (started.length < items.length) signals.publish(["queue", "schedule"]);
  };
  if (tx) {
    tx.afterCommit(afterCommit);
    tx.afterRollback(() => {
      for (const item of started) worker.release(item.job.project_id, 1);
    });
  } else afterCommit();
  return items.map((item) => {
    const run = inserted.get(item.id);
    return run ? done(answer(item, run.status, 1)) : refused(new Error("a run was not inserted"));
  });
}

function answer(item: Enqueuing, status: RunStatus, dispatchSeq: number): EnqueuedRun {
  const { id, payload_hash } = item;
  return { id, status, payload_hash, idempotency_hit: false, dispatch_seq: Math.max(dispatchSeq, 1), attempt: 1 };
}

function newRun(item: Enqueuing, lease_id: number | null): runs.NewRun {
  const { job } = item;
  return {
    project_id: job.project_id,
    id: item.id,
    environment_id: item.environmentId,
    job_id: job.id,
    job_version: job.version,
    max_attempts: job.max_attempts,
    priority: item.priority,
    payload: item.payload_text,
    metadata: objectText(job.default_run_metadata),
    tags: objectText(job.tags, item.tags),
    triggered_by: item.triggered_by,
    batch_id: item.batch_id,
    idempotency_key: item.idempotency_key,
    workflow_run_id: item.workflow?.workflow_run_id ?? null,
    workflow_step_run_id: item.workflow?.workflow_step_run_id ?? null,
    scheduled_at: item.scheduled_at,
    ttl_secs: item.ttl_secs ?? job.run_ttl_secs,
    lease_id,
    actor: item.actor,
  };
}

/** The text of an object with the members of all; most have none. */
function objectText(...objects: readonly object[]): string {
  const given = objects.filter((object) => Object.keys(object).length > 0);
  return given.length === 0 ? "{}" : JSON.stringify(Object.assign({}, ...given));
}

/** What the dispatcher needs of a run that was born executing; the same as a claim from the queue reads. */
function claimed({ job, id, payload_text, workflow, idempotency_key }: Enqueuing, signing_version: number): ClaimedRun {
  return {
    project_id: job.project_id,
    id,
    job_id: job.id,
    attempt: 1,
    max_attempts: job.max_attempts,
    dispatch_seq: 1,
    payload: payload_text,
    checkpoint: null,
    checkpoint_at: null,
    resume_reason: null,
    error: null,
    error_class: null,
    snooze_count: 0,
    endpoint_url: job.endpoint_url,
    fallback_endpoint_url: job.fallback_endpoint_url,
    timeout_secs: job.timeout_secs,
    retry_strategy: job.retry_strategy,
    retry_delays_secs: job.retry_delays_secs,
    signing_version,
    stands_alone: workflow === undefined && idempotency_key === null,
  };
}

function runKey(item: Enqueuing): idempotency.RunKey {
  const { job, id, body_hash } = item;
  return { project_id: job.project_id, job_id: job.id, key: item.idempotency_key ?? "", run_id: id, body_hash };
}

const keyId = (key: { project_id: string; job_id: string; key: string }): string =>
  `${key.project_id}\n${key.job_id}\n${key.key}`;
