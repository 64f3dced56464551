import type { Run, RunStatus, RunSummary } from "@strait/contract";
import { terminalRunStatuses } from "@strait/core";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { INLINE_BYTES, isInline, largeCheckpoints, savesCheckpoint } from "./run-moves.ts";
import { ifGiven, json, nothing, type Queryable, records, type Statement, sql } from "./sql.ts";

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
  /** Neither a step of a workflow nor an idempotency key hangs on it. */
  readonly stands_alone: boolean;
}

const claimedWith = (itsPayload: Statement, lastCheckpoint: Statement): Statement => sql`
  r.project_id, r.id, r.job_id, r.attempt, r.max_attempts, r.dispatch_seq, ${itsPayload} AS payload,
  ${lastCheckpoint} AS checkpoint, r.checkpoint_at, r.resume_reason, r.error, r.error_class, r.snooze_count,
  j.endpoint_url, j.fallback_endpoint_url, j.timeout_secs, j.retry_strategy, j.retry_delays_secs, p.signing_version,
  r.workflow_step_run_id IS NULL AND r.idempotency_key IS NULL AS stands_alone`;
/** `claimed` names a CTE of whole run rows; runs whose job is gone come without an endpoint and are left out. */
export const claimedColumns = claimedWith(payload, checkpoint);
/** The same in the statement that resumes them: it cannot read the large checkpoint that it has just written. */
export const resumedColumns = claimedWith(payload, sql`coalesce(r.given_checkpoint, ${checkpoint})`);
/** The same of runs whose bodies all stand in their rows. */
export const inlineClaimedColumns = claimedWith(sql`r.payload`, sql`r.checkpoint`);
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
  batch_id: "text?",
  idempotency_key: "text?",
  workflow_run_id: "text?",
  workflow_step_run_id: "text?",
  scheduled_at: "timestamptz?",
  ttl_secs: "int4?",
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
export async function insert(db: Queryable, rows: readonly NewRun[]): Promise<InsertedRun[]> {
  const lease = rows.find(({ lease_id }) => lease_id !== null)?.lease_id ?? null;
  const isStart = lease !== null && rows.every((row) => row.lease_id === lease && isNothingButItsRow(row));
  const started = isStart ? await insertOn(db, lease, rows, true) : [];
  return started.length > 0 ? started : insertOn(db, lease, rows, false);
}

/** Once it is started, all of it stands in its row. */
const isNothingButItsRow = ({ scheduled_at, ttl_secs, payload }: NewRun): boolean =>
  scheduled_at === null && ttl_secs === null && isInline(payload);

/**
 * The runs of one statement start on one lease. Where all of them do (`isStart`), and need nothing beside their rows, the
 * statement has no table for it: to prepare one costs half of what a row does. It then writes nothing when the lease is dead.
 */
function insertOn(
  db: Queryable,
  lease: number | null,
  rows: readonly NewRun[],
  isStart: boolean,
): Promise<InsertedRun[]> {
  return db.query<InsertedRun>(sql`
    WITH lease AS (SELECT id FROM leases WHERE id = ${lease} AND alive FOR KEY SHARE),
    item AS (
      SELECT i.*, lease.id AS lease, strait_now() AS now,
        coalesce(i.scheduled_at, strait_now()) + make_interval(secs => i.ttl_secs) AS expires_at,
        CASE WHEN i.scheduled_at > strait_now() THEN 'delayed' WHEN lease.id IS NOT NULL THEN 'executing' ELSE 'queued' END AS status
      FROM ${records("i", newRunTypes, rows)} ${isStart ? sql`JOIN` : sql`LEFT JOIN`} lease ON lease.id = i.lease_id),
    inserted AS (
      INSERT INTO runs (project_id, id, environment_id, job_id, job_version, status, max_attempts, dispatch_seq, priority,
        payload, metadata, tags, triggered_by, batch_id, idempotency_key, workflow_run_id, workflow_step_run_id,
        scheduled_at, started_at, expires_at, lease_id)
      SELECT project_id, id, environment_id, job_id, job_version, status, max_attempts,
        CASE status WHEN 'executing' THEN 1 ELSE 0 END, priority,
        CASE WHEN octet_length(payload) <= ${INLINE_BYTES} THEN payload ELSE '' END,
        metadata, tags, triggered_by, batch_id, idempotency_key, workflow_run_id, workflow_step_run_id, scheduled_at,
        CASE status WHEN 'executing' THEN now END, expires_at, CASE status WHEN 'executing' THEN lease END
      FROM item ORDER BY project_id, id)${isStart ? nothing : besideRuns},
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id)
      SELECT project_id, id, 1, 'status', status, actor, workflow_run_id FROM item),
    -- Looked up once for all runs of a project, and not for each of them.
    project AS (SELECT id, signing_version FROM projects WHERE id IN (SELECT project_id FROM item))
    SELECT i.id, i.status, i.expires_at, p.signing_version FROM item i JOIN project p ON p.id = i.project_id`);
}

/** CTEs: what a run is written to that has a long payload, does not start at once, or expires. */
const besideRuns = sql`,
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
      SELECT expires_at, project_id, id, 'expire', 0 FROM item WHERE expires_at IS NOT NULL AND status <> 'executing')`;

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
