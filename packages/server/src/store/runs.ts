import type { Run, RunStatus, RunSummary } from "@strait/contract";
import { type RunMove, runMoves, type StepMove, stepMoves, terminalRunStatuses } from "@strait/core";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { ifGiven, json, type Queryable, records, type Statement, sql } from "./sql.ts";

/** Bodies up to this many bytes stand in the run's row; longer ones are written once, in run_bodies. */
const INLINE_BYTES = sql`512`;
/** How long an idempotency key of a run is kept after the run's end. */
const KEY_KEPT = sql`interval '24 hours'`;

/** The text of a body that may stand in run_bodies. */
const body = (column: Statement, kind: Statement, seq: Statement): Statement => sql`
  CASE ${column} WHEN '' THEN (SELECT b.body FROM run_bodies b
    WHERE b.project_id = r.project_id AND b.run_id = r.id AND b.kind = ${kind} AND b.seq = ${seq}) ELSE ${column} END`;
const payload = body(sql`r.payload`, sql`'payload'`, sql`0`);
const result = body(sql`r.result`, sql`'result'`, sql`0`);
const checkpoint = body(sql`r.checkpoint`, sql`'checkpoint'`, sql`r.checkpoint_seq`);

const summaryColumns = sql`
  r.id, r.project_id, r.environment_id, r.job_id, r.job_version, r.status, r.attempt, r.max_attempts, r.dispatch_seq,
  r.priority, r.progress, r.metadata, r.tags, r.error, r.error_class, r.triggered_by, r.resume_reason, r.batch_id,
  r.idempotency_key, r.workflow_run_id, r.workflow_step_run_id, r.scheduled_at, r.started_at, r.finished_at, r.heartbeat_at,
  r.next_retry_at, r.expires_at, r.created_at`;
const columns = sql`${summaryColumns}, (${payload})::json AS payload, (${result})::json AS result,
  (${checkpoint})::json AS checkpoint`;

/** A run that this process may now send to its endpoint: what the request needs, with bodies as text. */
export interface ClaimedRun {
  readonly project_id: string;
  readonly id: string;
  readonly job_id: string;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly dispatch_seq: number;
  readonly payload: string;
  readonly checkpoint: string | null;
  readonly checkpoint_at: string | null;
  readonly resume_reason: string | null;
  readonly error: string | null;
  readonly error_class: string | null;
  readonly snooze_count: number;
  readonly endpoint_url: string;
  readonly fallback_endpoint_url: string | null;
  readonly timeout_secs: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: number[];
  readonly signing_version: number;
}

const claimedWith = (lastCheckpoint: Statement): Statement => sql`
  r.project_id, r.id, r.job_id, r.attempt, r.max_attempts, r.dispatch_seq, ${payload} AS payload,
  ${lastCheckpoint} AS checkpoint, r.checkpoint_at, r.resume_reason, r.error, r.error_class, r.snooze_count,
  j.endpoint_url, j.fallback_endpoint_url, j.timeout_secs, j.retry_strategy, j.retry_delays_secs, p.signing_version`;
/** `claimed` names a CTE of whole run rows; runs whose job is gone come without an endpoint and are left out. */
export const claimedColumns = claimedWith(checkpoint);
/** The same in the statement that resumes them: it cannot read the large checkpoint that it has just written. */
export const resumedColumns = claimedWith(sql`coalesce(r.given_checkpoint, ${checkpoint})`);
export const claimedJoin = sql`
  JOIN jobs j ON j.project_id = r.project_id AND j.id = r.job_id JOIN projects p ON p.id = r.project_id`;

/** A run to be born. `lease_id` asks for it to start at once; null sends it through the queue. */
export interface NewRun {
  readonly project_id: string;
  readonly id: string;
  readonly environment_id: string;
  readonly job_id: string;
  readonly job_version: number;
  readonly max_attempts: number;
  readonly priority: number;
  readonly payload: string;
  readonly metadata: string;
  readonly tags: string;
  readonly triggered_by: string;
  readonly batch_id: string | null;
  readonly idempotency_key: string | null;
  readonly workflow_run_id: string | null;
  readonly workflow_step_run_id: string | null;
  readonly scheduled_at: string | null;
  readonly ttl_secs: number | null;
  readonly lease_id: number | null;
  readonly actor: string;
}

const newRunTypes = {
  project_id: "text",
  id: "text",
  environment_id: "text",
  job_id: "text",
  job_version: "int4",
  max_attempts: "int4",
  priority: "int4",
  payload: "text",
  metadata: "json",
  tags: "json",
  triggered_by: "text",
  batch_id: "text",
  idempotency_key: "text",
  workflow_run_id: "text",
  workflow_step_run_id: "text",
  scheduled_at: "timestamptz",
  ttl_secs: "int4",
  lease_id: "int8",
  actor: "text",
} as const;

export interface InsertedRun {
  readonly id: string;
  readonly status: RunStatus;
  readonly expires_at: string | null;
  readonly signing_version: number;
}

/**
 * Writes runs together with what follows from their first status: the queue entry, the due time, the first change.
 * A run that asks for a lease is executing when the lease is alive at that moment, and queued otherwise.
 */
export function insert(db: Queryable, rows: readonly NewRun[]): Promise<InsertedRun[]> {
  return db.query<InsertedRun>(sql`
    WITH lease AS (SELECT id FROM leases WHERE id = ${leaseOf(rows)} AND alive FOR KEY SHARE),
    item AS (
      SELECT i.*, lease.id AS lease, strait_now() AS now,
        coalesce(i.scheduled_at, strait_now()) + make_interval(secs => i.ttl_secs) AS expires_at,
        CASE WHEN i.scheduled_at > strait_now() THEN 'delayed' WHEN lease.id IS NOT NULL THEN 'executing' ELSE 'queued' END AS status
      FROM ${records("i", newRunTypes, rows)} LEFT JOIN lease ON lease.id = i.lease_id),
    inserted AS (
      INSERT INTO runs (project_id, id, environment_id, job_id, job_version, status, max_attempts, dispatch_seq, priority,
        payload, metadata, tags, triggered_by, batch_id, idempotency_key, workflow_run_id, workflow_step_run_id,
        scheduled_at, started_at, expires_at, lease_id)
      SELECT project_id, id, environment_id, job_id, job_version, status, max_attempts,
        CASE status WHEN 'executing' THEN 1 ELSE 0 END, priority,
        CASE WHEN octet_length(payload) <= ${INLINE_BYTES} THEN payload ELSE '' END,
        metadata, tags, triggered_by, batch_id, idempotency_key, workflow_run_id, workflow_step_run_id, scheduled_at,
        CASE status WHEN 'executing' THEN now END, expires_at, CASE status WHEN 'executing' THEN lease END
      FROM item ORDER BY project_id, id),
    large AS (
      INSERT INTO run_bodies (project_id, run_id, kind, seq, body)
      SELECT project_id, id, 'payload', 0, payload FROM item WHERE octet_length(payload) > ${INLINE_BYTES}),
    queue AS (
      INSERT INTO run_queue (project_id, priority, ready_at, run_id)
      SELECT project_id, priority, now, id FROM item WHERE status = 'queued'),
    schedule AS (
      INSERT INTO run_schedule (due_at, project_id, run_id)
      SELECT scheduled_at, project_id, id FROM item WHERE status = 'delayed'),
    deadline AS (
      INSERT INTO run_deadlines (due_at, project_id, run_id, kind, dispatch_seq)
      SELECT expires_at, project_id, id, 'expire', 0 FROM item WHERE expires_at IS NOT NULL AND status <> 'executing'),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id)
      SELECT project_id, id, 1, 'status', status, actor, workflow_run_id FROM item)
    SELECT i.id, i.status, i.expires_at, p.signing_version FROM item i JOIN projects p ON p.id = i.project_id`);
}

/** The runs of one statement start on one lease, or go through the queue. */
const leaseOf = (rows: readonly NewRun[]): number | null => rows.find((row) => row.lease_id !== null)?.lease_id ?? null;

/** Which of the runs stand, and as what: asked after a broken connection, when nobody knows what was committed. */
export function statuses(
  db: Queryable,
  rows: readonly { readonly job: { readonly project_id: string }; readonly id: string }[],
): Promise<{ id: string; status: RunStatus; dispatch_seq: number }[]> {
  const keys = rows.map(({ job, id }) => ({ project_id: job.project_id, id }));
  return db.query(sql`
    SELECT r.id, r.status, r.dispatch_seq FROM ${records("i", { project_id: "text", id: "text" }, keys)}
    JOIN runs r ON r.project_id = i.project_id AND r.id = i.id`);
}

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
  error: "text",
  error_class: "text",
  checkpoint: "text",
  checkpoint_source: "text",
  resume_reason: "text",
  lease_id: "int8",
  delay_ms: "float8",
  unless_taken: "bool",
  unless_detached: "bool",
  counts_as_lost: "bool",
} as const satisfies Record<keyof RunMoveItem, string>;

/** What a run is after a move. */
export interface MovedRun {
  readonly project_id: string;
  readonly id: string;
  readonly before: RunStatus;
  readonly status: RunStatus;
  readonly workflow_run_id: string | null;
}

const none = sql``;

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
        : none;
  }
}

/** Only what goes wrong in a row counts: the endpoint was there, and so was this process. */
const answered = sql`lost_count = 0, snooze_count = 0,`;

const started = sql`lease_id = i.lease_id, dispatch_seq = r.dispatch_seq + 1, started_at = strait_now(), heartbeat_at = NULL,
  detached = false, next_retry_at = NULL,`;

const isTerminal = (status: RunStatus): boolean => terminalRunStatuses.includes(status);

/** What is written beside the run, by where the move leads. Each is a CTE over `moved`. */
function effectsOf(name: RunMove): Statement {
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
  if (!isTerminal(to)) return none;
  const step: StepMove = to === "completed" ? "complete" : "fail";
  return sql`,
    large AS (
      INSERT INTO run_bodies (project_id, run_id, kind, seq, body)
      SELECT project_id, id, 'result', 0, given_result FROM moved WHERE octet_length(given_result) > ${INLINE_BYTES}
      ON CONFLICT (project_id, run_id, kind, seq) DO NOTHING),
    stale AS (${staleCheckpoints}),
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
  { actor, only, skipLocked = false }: MoveOptions,
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
        FOR NO KEY UPDATE ${skipLocked ? sql`SKIP LOCKED` : none}) r),
    moved AS (
      UPDATE runs r SET ${changesOf(name)} status = ${to}, change_seq = r.change_seq + 1
      FROM locked i
      WHERE r.project_id = i.project_id AND r.id = i.id AND r.status = ANY(${allowed})
      RETURNING r.*, i.before, i.delay_ms, i.result AS given_result, i.checkpoint AS given_checkpoint, ${actor}::text AS actor),
    saved AS (${largeCheckpoints}),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, message)
      SELECT project_id, id, change_seq, 'status', before, status, actor, workflow_run_id, error FROM moved)${effectsOf(name)}
    SELECT project_id, id, before, status, workflow_run_id FROM moved`);
}

/** Whether a run goes on by itself. `taken`: it does not, for this dispatch took an event that it has not looked at. */
export type Detached = "detached" | "taken" | "refused";

/**
 * A run that answered 202, or sent a heartbeat, goes on by itself: from now on its deadline watches it, not its lease.
 *
 * @param unlessTaken - A 202 right after a wait that took an event means that the executor believes to be parked. A
 *   heartbeat says that it knows better.
 */
export async function detach(
  db: Queryable,
  projectId: string,
  id: string,
  dispatchSeq: number,
  unlessTaken: boolean,
): Promise<Detached> {
  const [run] = await db.query<{ is_detached: boolean; is_taken: boolean }>(sql`
    WITH run AS (
      SELECT r.detached OR NOT r.status = 'executing' AS is_past, ${unlessTaken}::boolean AND r.taken_seq = r.dispatch_seq AS is_taken
      FROM runs r WHERE r.project_id = ${projectId} AND r.id = ${id} AND r.dispatch_seq = ${dispatchSeq}),
    detached AS (
      UPDATE runs r SET detached = true, heartbeat_at = strait_now() FROM jobs j
      WHERE r.project_id = ${projectId} AND r.id = ${id} AND r.dispatch_seq = ${dispatchSeq} AND r.status = 'executing'
        AND NOT r.detached AND NOT (${unlessTaken}::boolean AND r.taken_seq = r.dispatch_seq)
        AND j.project_id = r.project_id AND j.id = r.job_id
      RETURNING r.project_id, r.id, r.dispatch_seq, j.timeout_secs),
    deadline AS (
      INSERT INTO run_deadlines (due_at, project_id, run_id, kind, dispatch_seq)
      SELECT strait_now() + make_interval(secs => timeout_secs), project_id, id, 'dispatch', dispatch_seq FROM detached)
    SELECT EXISTS (SELECT FROM detached) AS is_detached, run.is_taken AND NOT run.is_past AS is_taken FROM run`);
  if (run?.is_detached) return "detached";
  return run?.is_taken ? "taken" : "refused";
}

export interface RunFence {
  readonly status: RunStatus;
  readonly dispatch_seq: number;
  readonly taken_seq: number;
  readonly environment_id: string;
  readonly detached: boolean;
  readonly created_at: string;
}

/** Locks a run against every move until the transaction ends. */
export async function lockFence(tx: Queryable, projectId: string, id: string): Promise<RunFence | undefined> {
  const [fence] = await tx.query<RunFence>(sql`
    SELECT status, dispatch_seq, taken_seq, environment_id, detached, created_at FROM runs
    WHERE project_id = ${projectId} AND id = ${id} FOR NO KEY UPDATE`);
  return fence;
}

/** The same without a lock. */
export async function findFence(db: Queryable, projectId: string, id: string): Promise<RunFence | undefined> {
  const [fence] = await fences(db, [{ project_id: projectId, id }]);
  return fence;
}

/** The same without a lock, for many; none for none. */
export async function fences(
  db: Queryable,
  rows: readonly { readonly project_id: string; readonly id: string }[],
): Promise<(RunFence & { id: string })[]> {
  if (rows.length === 0) return [];
  const keys = rows.map(({ project_id, id }) => ({ project_id, id }));
  return db.query<RunFence & { id: string }>(sql`
    SELECT r.id, r.status, r.dispatch_seq, r.taken_seq, r.environment_id, r.detached, r.created_at
    FROM ${records("i", { project_id: "text", id: "text" }, keys)}
    JOIN runs r ON r.project_id = i.project_id AND r.id = i.id`);
}

/** Locks runs, in order, that are about to be ended together with what they own. */
export async function lockAll(tx: Queryable, projectId: string, ids: readonly string[]): Promise<void> {
  await tx.query(
    sql`SELECT 1 FROM runs WHERE project_id = ${projectId} AND id = ANY(${ids}) ORDER BY id FOR NO KEY UPDATE`,
  );
}

/** Leaves the payload of an event that was there before its wait: the run goes on with it, and need not park. */
export async function takeEvent(tx: Queryable, projectId: string, id: string, payload: unknown): Promise<void> {
  await tx.query(sql`
    WITH i AS (SELECT ${json(payload)}::text AS checkpoint, 'event_trigger'::text AS checkpoint_source),
    moved AS (
      UPDATE runs r SET ${savesCheckpoint} taken_seq = r.dispatch_seq, resume_reason = 'event' FROM i
      WHERE r.project_id = ${projectId} AND r.id = ${id} RETURNING r.*, i.checkpoint AS given_checkpoint),
    saved AS (${largeCheckpoints})
    SELECT 1 FROM moved`);
}

export async function find(db: Queryable, projectId: string, id: string): Promise<Run | undefined> {
  const [run] = await db.query<Run>(
    sql`SELECT ${columns} FROM runs r WHERE r.project_id = ${projectId} AND r.id = ${id}`,
  );
  return run;
}

/** The run, and the number of its last change, from one statement. */
export async function findNumbered(
  db: Queryable,
  projectId: string,
  id: string,
): Promise<{ row: Run; sequence: number } | undefined> {
  const [numbered] = await db.query<Run & { change_seq: number }>(sql`
    SELECT ${columns}, r.change_seq FROM runs r WHERE r.project_id = ${projectId} AND r.id = ${id}`);
  if (!numbered) return undefined;
  const { change_seq, ...row } = numbered;
  return { row: row as Run, sequence: change_seq };
}

export interface RunFilter {
  readonly status?: string | undefined;
  readonly job_id?: string | undefined;
  readonly workflow_run_id?: string | undefined;
  readonly batch_id?: string | undefined;
}

export async function list(
  db: Queryable,
  projectId: string,
  filter: RunFilter,
  page: PageRequest,
): Promise<Page<RunSummary>> {
  const rows = await db.query<RunSummary>(sql`
    SELECT ${summaryColumns} FROM runs r
    WHERE r.project_id = ${projectId} AND ${olderThan("runs", page)}
      AND ${ifGiven(filter.status, (status) => sql`r.status = ${status}`)}
      AND ${ifGiven(filter.job_id, (id) => sql`r.job_id = ${id}`)}
      AND ${ifGiven(filter.workflow_run_id, (id) => sql`r.workflow_run_id = ${id}`)}
      AND ${ifGiven(filter.batch_id, (id) => sql`r.batch_id = ${id}`)}
    ORDER BY r.id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("runs", page, rows);
}

/** The payload as the text that was sent; undefined when there is no such run. */
export async function findPayload(db: Queryable, projectId: string, id: string): Promise<unknown> {
  const [row] = await db.query<{ payload: unknown }>(sql`
    SELECT (${payload})::json AS payload FROM runs r WHERE r.project_id = ${projectId} AND r.id = ${id}`);
  return row?.payload;
}

/** Runs of the job that have not ended, found without an index on the status: newest first, and only one is needed. */
export async function hasLive(db: Queryable, projectId: string, jobId: string): Promise<boolean> {
  const rows = await db.query(sql`
    SELECT 1 FROM runs r WHERE r.project_id = ${projectId} AND r.job_id = ${jobId}
      AND NOT r.status = ANY(${terminalRunStatuses}) LIMIT 1`);
  return rows.length > 0;
}
