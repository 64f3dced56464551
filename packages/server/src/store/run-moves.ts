import type { RunStatus } from "@strait/contract";
import { type RunMove, runMoves, type StepMove, stepMoves, terminalRunStatuses } from "@strait/core";
import { constant, nothing, type Queryable, records, type Statement, sql } from "./sql.ts";

/** Bodies up to this many bytes stand in the run's row; longer ones are written once, in run_bodies. */
const INLINE = 512;
export const INLINE_BYTES = constant(INLINE);
export const isInline = (body: string): boolean => Buffer.byteLength(body) <= INLINE;
/** How long an idempotency key of a run is kept after the run's end. */
const KEY_KEPT = sql`interval '24 hours'`;

export interface RunMoveItem {
  readonly project_id: string;
  readonly id: string;
  /** The dispatch that asks for the move. Another one than the run's current refuses it; null asks for no fence. */
  readonly dispatch_seq?: number | null;
  readonly result?: string | null;
  readonly error?: string | null;
  readonly error_class?: string | null;
  readonly checkpoint?: string | null;
  readonly checkpoint_source?: string | null;
  readonly resume_reason?: string | null;
  readonly lease_id?: number | null;
  /** Milliseconds from now until a queued run is ready. */
  readonly delay_ms?: number | null;
  /** Refuses the move when this dispatch took an event that its executor may not have looked at. */
  readonly unless_taken?: boolean;
  /** Refuses the move when the run goes on by itself: its deadline watches it, and not the call that ended. */
  readonly unless_detached?: boolean;
  /** One more worker was lost with the run. */
  readonly counts_as_lost?: boolean;
}

const moveTypes = {
  project_id: "text",
  id: "text",
  dispatch_seq: "int4",
  result: "text",
  error: "text?",
  error_class: "text?",
  checkpoint: "text?",
  checkpoint_source: "text?",
  resume_reason: "text?",
  lease_id: "int8?",
  delay_ms: "float8?",
  unless_taken: "bool",
  unless_detached: "bool",
  counts_as_lost: "bool?",
} as const satisfies Record<keyof RunMoveItem, string>;

/** What a run is after a move. */
export interface MovedRun {
  readonly project_id: string;
  readonly id: string;
  readonly before: RunStatus;
  readonly status: RunStatus;
  readonly workflow_run_id: string | null;
}

/** `i` has the checkpoint that run `r` goes on with. */
export const savesCheckpoint = sql`
    checkpoint = CASE WHEN octet_length(i.checkpoint) <= ${INLINE_BYTES} THEN i.checkpoint
      WHEN i.checkpoint IS NOT NULL THEN '' ELSE r.checkpoint END,
    checkpoint_seq = r.checkpoint_seq + (i.checkpoint IS NOT NULL)::int,
    checkpoint_source = coalesce(i.checkpoint_source, r.checkpoint_source),
    checkpoint_at = CASE WHEN i.checkpoint IS NOT NULL THEN strait_now() ELSE r.checkpoint_at END,`;

/** A CTE body: the checkpoints of `moved` that are too long for the run's row. */
export const largeCheckpoints = sql`
      INSERT INTO run_bodies (project_id, run_id, kind, seq, body)
      SELECT project_id, id, 'checkpoint', checkpoint_seq, given_checkpoint FROM moved
      WHERE octet_length(given_checkpoint) > ${INLINE_BYTES}`;

const saved = sql`,
    saved AS (${largeCheckpoints})`;

/** A CTE body: removes the large checkpoints of `moved` that a newer one has replaced. */
export const staleCheckpoints = sql`
      DELETE FROM run_bodies b USING moved m
      WHERE m.checkpoint_seq > 1 AND b.project_id = m.project_id AND b.run_id = m.id AND b.kind = 'checkpoint'
        AND b.seq < m.checkpoint_seq`;

/** Columns that a move sets besides the status, by where it leads. */
function changesOf(name: RunMove): Statement {
  const { to } = runMoves[name];
  const resumed = sql`${savesCheckpoint} resume_reason = i.resume_reason,`;
  const ended = sql`error = i.error, error_class = i.error_class,`;
  switch (name) {
    case "start":
      return started;
    case "resumeNow":
      return sql`${resumed} ${started}`;
    case "resume":
      return sql`${resumed} detached = false,`;
    case "putBack":
      // The same dispatch again: what the last one was told it has to be told too, above all how its wait ended.
      return sql`detached = false, resume_reason = coalesce(r.resume_reason, i.resume_reason),
        lost_count = r.lost_count + coalesce(i.counts_as_lost, false)::int,
        snooze_count = r.snooze_count + (i.delay_ms IS NOT NULL)::int,
        next_retry_at = strait_now() + make_interval(secs => i.delay_ms / 1000),`;
    case "retry":
      return sql`${ended} ${answered} attempt = r.attempt + 1, resume_reason = 'retry', detached = false,
        next_retry_at = strait_now() + make_interval(secs => i.delay_ms / 1000),`;
    case "wait":
      return answered;
    case "replay":
      return sql`${answered} attempt = 1, finished_at = NULL, resume_reason = 'retry',`;
    default:
      return isTerminal(to)
        ? sql`${ended} finished_at = strait_now(), next_retry_at = NULL,
          result = CASE WHEN octet_length(i.result) <= ${INLINE_BYTES} THEN i.result WHEN i.result IS NOT NULL THEN '' END,`
        : nothing;
  }
}

/** Only what goes wrong in a row counts: the endpoint was there, and so was this process. */
const answered = sql`lost_count = 0, snooze_count = 0,`;

const started = sql`lease_id = i.lease_id, dispatch_seq = r.dispatch_seq + 1, started_at = strait_now(), heartbeat_at = NULL,
  detached = false, next_retry_at = NULL,`;

const isTerminal = (status: RunStatus): boolean => terminalRunStatuses.includes(status);

/** What is written beside the run, by where the move leads. Each is a CTE over `moved`. */
function effectsOf(name: RunMove, items: readonly RunMoveItem[], standAlone: boolean): Statement {
  const { to } = runMoves[name];
  if (to === "queued") {
    return sql`,
    queue AS (
      INSERT INTO run_queue (project_id, priority, ready_at, run_id)
      SELECT project_id, priority, strait_now(), id FROM moved WHERE coalesce(delay_ms, 0) <= 0),
    schedule AS (
      INSERT INTO run_schedule (due_at, project_id, run_id)
      SELECT next_retry_at, project_id, id FROM moved WHERE delay_ms > 0)`;
  }
  if (!isTerminal(to)) return nothing;
  const large = sql`,
    large AS (
      INSERT INTO run_bodies (project_id, run_id, kind, seq, body)
      SELECT project_id, id, 'result', 0, given_result FROM moved WHERE octet_length(given_result) > ${INLINE_BYTES}
      ON CONFLICT (project_id, run_id, kind, seq) DO NOTHING)`;
  return sql`${isLong(items, "result") ? large : nothing},
    stale AS (${staleCheckpoints})${standAlone ? nothing : dependentsOf(to === "completed" ? "complete" : "fail")}`;
}

/** Whether one of the bodies does not fit into the run's row. */
const isLong = (items: readonly RunMoveItem[], kind: "result" | "checkpoint"): boolean =>
  items.some(({ [kind]: body }) => body != null && !isInline(body));

/** What hangs on a run that has ended: its idempotency key, and the step that it was for. */
function dependentsOf(step: StepMove): Statement {
  return sql`,
    key AS (
      UPDATE run_idempotency k SET expires_at = strait_now() + ${KEY_KEPT}
      FROM moved m WHERE m.idempotency_key IS NOT NULL
        AND k.project_id = m.project_id AND k.job_id = m.job_id AND k.key = m.idempotency_key AND k.run_id = m.id),
    step AS (
      UPDATE step_runs s SET status = ${stepMoves[step].to}, finished_at = strait_now(), change_seq = s.change_seq + 1,
        output = CASE WHEN ${step} = 'complete' THEN coalesce(m.given_result, 'null') END,
        error = CASE WHEN ${step} = 'fail' THEN coalesce(m.error, 'the run of the step is ' || m.status) END,
        emit_due = CASE WHEN ${step} = 'complete' AND s.event_emit_key IS NOT NULL THEN true END
      FROM moved m
      WHERE m.workflow_step_run_id IS NOT NULL AND s.project_id = m.project_id AND s.id = m.workflow_step_run_id
        AND s.workflow_run_id = m.workflow_run_id
        AND s.job_run_id = m.id AND s.status = ANY(${stepMoves[step].from})
      RETURNING s.*, m.actor),
    step_change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, message)
      SELECT project_id, id, change_seq, 'status', 'running', status, actor, workflow_run_id, error FROM step),
    advance AS (
      INSERT INTO workflow_advances (project_id, workflow_run_id) SELECT project_id, workflow_run_id FROM step)`;
}

export interface MoveOptions {
  readonly actor: string;
  /** Narrows the statuses that the table allows. */
  readonly only?: readonly RunStatus[];
  /** Passes over runs that somebody holds instead of waiting for them, so that one blocked run does not hold up a batch. */
  readonly skipLocked?: boolean;
  /** Nothing hangs on these runs that would have to follow: see `ClaimedRun`. Where that is not known it is looked up. */
  readonly standAlone?: boolean;
}

/**
 * Applies `name` to the runs whose status allows it, with everything that follows in the same statement: queue entries,
 * the step that the run was for, the change row. Runs that did not move are missing from the answer: somebody was first.
 * Rows are locked in the order of their keys, so that two batches cannot deadlock.
 */
export function move(
  db: Queryable,
  name: RunMove,
  items: readonly RunMoveItem[],
  { actor, only, skipLocked = false, standAlone = false }: MoveOptions,
): Promise<MovedRun[]> {
  const { from, to } = runMoves[name];
  const allowed = only === undefined ? from : (from as readonly RunStatus[]).filter((status) => only.includes(status));
  return db.query<MovedRun>(sql`
    WITH item AS (SELECT * FROM ${records<Required<RunMoveItem>>("i", moveTypes, items as Required<RunMoveItem>[])}),
    locked AS (
      SELECT i.*, r.before FROM (SELECT * FROM item ORDER BY project_id, id) i CROSS JOIN LATERAL (
        SELECT r.status AS before FROM runs r
        WHERE r.project_id = i.project_id AND r.id = i.id
          AND r.status = ANY(${allowed}) AND r.dispatch_seq = coalesce(i.dispatch_seq, r.dispatch_seq)
          AND NOT (coalesce(i.unless_taken, false) AND r.taken_seq = r.dispatch_seq)
          AND NOT (coalesce(i.unless_detached, false) AND r.detached)
        FOR NO KEY UPDATE ${skipLocked ? sql`SKIP LOCKED` : nothing}) r),
    moved AS (
      UPDATE runs r SET ${changesOf(name)} status = ${to}, change_seq = r.change_seq + 1
      FROM locked i
      WHERE r.project_id = i.project_id AND r.id = i.id AND r.status = ANY(${allowed})
      RETURNING r.project_id, r.id, r.job_id, r.status, r.priority, r.checkpoint_seq, r.idempotency_key,
        r.workflow_run_id, r.workflow_step_run_id, r.next_retry_at, r.change_seq, i.before, i.delay_ms,
        i.error, -- of a run that is put off it says why in the log, and nothing failed
        i.result AS given_result, i.checkpoint AS given_checkpoint, ${actor}::text AS actor)${isLong(items, "checkpoint") ? saved : nothing},
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, message)
      SELECT project_id, id, change_seq, 'status', before, status, actor, workflow_run_id, error FROM moved)${effectsOf(name, items, standAlone)}
    SELECT project_id, id, before, status, workflow_run_id FROM moved`);
}
