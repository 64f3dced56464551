import type { Checkpoint, ErrorClass, Job, ResumeReason, Run } from "@strait/contract";
import { allows, isTerminalRunStatus, type RunMove, runMoves } from "@strait/core";
import { afterRunFailure, canceledBecause, checkFence, illegalMove, notFound } from "@strait/server/pure";
import { type Store, SYSTEM } from "./store.ts";
import { cancelWaits } from "./waits.ts";

export interface NewRun {
  readonly job: Job;
  readonly payload: Run["payload"];
  readonly tags: Record<string, string>;
  readonly scheduled_at: string | null;
  readonly priority: number;
  readonly idempotency_key: string | null;
  readonly batch_id?: string | null;
  readonly triggered_by: Run["triggered_by"];
  readonly workflow?: { readonly workflow_run_id: string; readonly workflow_step_run_id: string };
}

/** The token of one dispatch of a run. */
export const tokenOf = ({ id, dispatch_seq }: Run): string => `mock.run.${id}.${dispatch_seq}`;

/** The run and the dispatch that a token is for; undefined for a text that is none. */
export function claimsOf(token: string): { readonly runId: string; readonly dispatchSeq: number } | undefined {
  const [, runId, seq] = /^mock\.run\.(\w+)\.(\d+)$/.exec(token) ?? [];
  return runId === undefined ? undefined : { runId, dispatchSeq: Number(seq) };
}

/** Makes a run, which starts at once unless it is to start later. */
export function createRun(store: Store, { job, workflow, ...given }: NewRun): Run {
  const { clock, runs, project } = store;
  const isLater = given.scheduled_at !== null && Date.parse(given.scheduled_at) > clock.now();
  const run = runs.put({
    ...project,
    id: clock.newId("run"),
    job_id: job.id,
    job_version: job.version,
    status: isLater ? "delayed" : "queued",
    attempt: 1,
    max_attempts: job.max_attempts,
    dispatch_seq: 0,
    priority: given.priority,
    progress: null,
    metadata: job.default_run_metadata,
    tags: { ...job.tags, ...given.tags },
    error: null,
    error_class: null,
    triggered_by: given.triggered_by,
    resume_reason: null,
    batch_id: given.batch_id ?? null,
    idempotency_key: given.idempotency_key,
    workflow_run_id: workflow?.workflow_run_id ?? null,
    workflow_step_run_id: workflow?.workflow_step_run_id ?? null,
    scheduled_at: given.scheduled_at,
    started_at: null,
    finished_at: null,
    heartbeat_at: null,
    next_retry_at: null,
    expires_at: null,
    created_at: clock.timestamp(),
    payload: given.payload,
    result: null,
    checkpoint: null,
  });
  return isLater ? run : startRun(store, run, {});
}

function startRun(store: Store, run: Run, changes: Partial<Run>): Run {
  const { clock, runs, jobs, dispatch } = store;
  const started = runs.change(run, {
    ...changes,
    status: runMoves.start.to,
    dispatch_seq: run.dispatch_seq + 1,
    started_at: clock.timestamp(),
    heartbeat_at: null,
    next_retry_at: null,
  });
  store.taken.delete(run.id);
  const job = jobs.get(run.job_id);
  if (job) dispatch(started, job, tokenOf(started));
  return started;
}

/** Parks a run that has opened a wait. */
export function parkRun({ runs }: Store, run: Run): Run {
  return runs.change(run, { status: runMoves.wait.to });
}

/** Dispatches a run again, once its wait has ended. */
export function resumeRun(
  store: Store,
  run: Run,
  resume_reason: ResumeReason,
  changes: Partial<Pick<Run, "checkpoint">>,
): Run {
  if (changes.checkpoint !== undefined) saveCheckpoint(store, run, "event_trigger", changes.checkpoint);
  return startRun(store, run, { ...changes, resume_reason });
}

/** Gives a run that executes an event that was there before its wait. */
export function takeEvent(store: Store, run: Run, checkpoint: Run["checkpoint"]): void {
  saveCheckpoint(store, run, "event_trigger", checkpoint);
  store.runs.change(run, { checkpoint });
  store.taken.add(run.id);
}

export function saveCheckpoint(
  { clock, checkpoints }: Store,
  run: Run,
  source: string,
  state: Run["checkpoint"],
): Checkpoint {
  const sequence = (checkpoints.get(run.id)?.sequence ?? 0) + 1;
  const checkpoint = {
    id: `${run.id}:${sequence}`,
    run_id: run.id,
    sequence,
    source,
    state,
    created_at: clock.timestamp(),
  };
  checkpoints.set(run.id, checkpoint);
  return checkpoint;
}

/** Ends a run, with what it waits for; its step is told by `wakeOwners`. */
export function endRun(
  store: Store,
  run: Run,
  move: RunMove,
  changes: Partial<Pick<Run, "result" | "error" | "error_class">>,
  actor = SYSTEM,
): Run {
  if (!allows(runMoves[move], run.status)) throw illegalMove("run", run.id, run.status, move);
  const ended = store.runs.change(run, { ...changes, status: runMoves[move].to, finished_at: store.clock.timestamp() });
  cancelWaits(store, ({ job_run_id }) => job_run_id === run.id, actor, ended.error ?? `the run is ${ended.status}`);
  store.ended.push({ run: ended });
  return ended;
}

/** An attempt that failed: another one follows while the job's policy has one. */
export function failAttempt(
  store: Store,
  run: Run,
  {
    error,
    error_class,
    retryable,
  }: { readonly error: string; readonly error_class: ErrorClass; readonly retryable?: boolean },
): Run {
  const job = store.jobs.get(run.job_id);
  const failure = { attempt: run.attempt, maxAttempts: run.max_attempts, errorClass: error_class, retryable };
  const policy = { strategy: job?.retry_strategy ?? "exponential", delaysSecs: job?.retry_delays_secs ?? [] } as const;
  const after = afterRunFailure({ ...failure, ...policy }, 0.5);
  if (after.move !== "retry") return endRun(store, run, after.move, { error, error_class });
  const next_retry_at = store.clock.timestamp(after.delayMs / 1_000);
  const retried = { status: runMoves.retry.to, attempt: run.attempt + 1, error, error_class, next_retry_at };
  return store.runs.change(run, { ...retried, resume_reason: "retry" });
}

/** Cancels a run that has not ended, with its waits (R6). */
export function cancelRun(store: Store, run: Run, reason: string | undefined, actor: string): Run {
  if (isTerminalRunStatus(run.status)) throw illegalMove("run", run.id, run.status, "cancel");
  return endRun(store, run, "cancel", { error: canceledBecause("run", reason) }, actor);
}

/** When a run starts that was to start later, or is tried again. */
export function dueAt({ status, scheduled_at, next_retry_at }: Run): string | null {
  return status === "delayed" ? scheduled_at : status === "queued" ? next_retry_at : null;
}

/** Starts the runs whose time has come. */
export function startDueRuns(store: Store): void {
  for (const run of store.runs.all()) {
    const at = dueAt(run);
    if (at !== null && Date.parse(at) <= store.clock.now()) startRun(store, run, {});
  }
}

/**
 * The run that calls on its own behalf.
 *
 * @throws {StraitError} when it has ended, or another dispatch has replaced the caller's.
 */
export function callingRun(store: Store, id: string, dispatchSeq: number): Run {
  const run = store.runs.get(id);
  if (!run) throw notFound("run", id);
  checkFence({ runId: id, dispatchSeq }, run);
  return run;
}
