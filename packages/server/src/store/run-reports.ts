import type { Checkpoint, RunEvent, RunOutput, RunState } from "@strait/contract";
import { cutPage, fetchLimit, type Page, type PageRequest, positionOf } from "./page.ts";
import { largeCheckpoints, savesCheckpoint, staleCheckpoints } from "./run-moves.ts";
import { json, type Queryable, type Statement, sql } from "./sql.ts";

/** A run that executes, and the dispatch that reports. Everything here is refused, by an empty answer, for another one. */
export interface Reporter {
  readonly project_id: string;
  readonly run_id: string;
  readonly dispatch_seq: number;
  readonly actor: string;
}

export interface Report {
  readonly kind: string;
  readonly level: string;
  readonly message: string | null;
  readonly data: unknown;
}

/** Live statuses in which a dispatch may still report. */
const reporting = sql`r.status IN ('executing', 'waiting')`;

/**
 * `changes` sets columns of run `r`; the report is numbered on its row, so the run's stream has no holes. It keeps the run's
 * status, so that a reader who comes late is not shown the end of the run beside it.
 */
function report(db: Queryable, reporter: Reporter, what: Report, changes: Statement): Promise<RunEvent[]> {
  return db.query<RunEvent>(sql`
    WITH i AS (SELECT ${json(what.data)}::text AS checkpoint, 'sdk'::text AS checkpoint_source),
    moved AS (
      UPDATE runs r SET ${changes} change_seq = r.change_seq + 1 FROM i
      WHERE r.project_id = ${reporter.project_id} AND r.id = ${reporter.run_id}
        AND r.dispatch_seq = ${reporter.dispatch_seq} AND ${reporting}
      RETURNING r.*, i.checkpoint AS given_checkpoint)
    INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id, level, message, data)
    SELECT project_id, id, change_seq, ${what.kind}, status, ${reporter.actor}, workflow_run_id, ${what.level}, ${what.message},
      ${json(what.data)}::json
    FROM moved
    RETURNING subject_id || ':' || sequence AS id, subject_id AS run_id, sequence, kind AS type, level, message, data, created_at`);
}

export async function log(db: Queryable, reporter: Reporter, what: Report): Promise<RunEvent | undefined> {
  const [event] = await report(db, reporter, what, sql``);
  return event;
}

export async function progress(db: Queryable, reporter: Reporter, what: Report): Promise<RunEvent | undefined> {
  const shown = { ...(what.data as object), message: what.message };
  const [event] = await report(
    db,
    reporter,
    what,
    sql`progress = (${json(shown)}::jsonb || jsonb_build_object('reported_at',
      to_char(strait_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))::json,`,
  );
  return event;
}

/** Merges annotations into the run's metadata. */
export async function annotate(db: Queryable, reporter: Reporter, what: Report): Promise<RunEvent | undefined> {
  const [event] = await report(
    db,
    reporter,
    what,
    sql`metadata = (r.metadata::jsonb || ${json(what.data)}::jsonb)::json,`,
  );
  return event;
}

export async function saveCheckpoint(
  db: Queryable,
  reporter: Reporter,
  source: string,
  state: unknown,
): Promise<Checkpoint | undefined> {
  const [row] = await db.query<Checkpoint>(sql`
    WITH i AS (SELECT ${json(state)}::text AS checkpoint, ${source}::text AS checkpoint_source),
    moved AS (
      UPDATE runs r SET ${savesCheckpoint} change_seq = r.change_seq + 1 FROM i
      WHERE r.project_id = ${reporter.project_id} AND r.id = ${reporter.run_id}
        AND r.dispatch_seq = ${reporter.dispatch_seq} AND ${reporting}
      RETURNING r.*, i.checkpoint AS given_checkpoint),
    saved AS (${largeCheckpoints}),
    stale AS (${staleCheckpoints}),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id, data)
      SELECT project_id, id, change_seq, 'checkpoint', status, ${reporter.actor}, workflow_run_id,
        json_build_object('sequence', checkpoint_seq, 'source', checkpoint_source) FROM moved)
    SELECT id || ':' || checkpoint_seq AS id, id AS run_id, checkpoint_seq AS sequence, checkpoint_source AS source,
      given_checkpoint::json AS state, checkpoint_at AS created_at FROM moved`);
  return row;
}

/** The latest checkpoint, of any size: saved by the run, or left by the event that resumed it. */
export async function findCheckpoint(db: Queryable, projectId: string, runId: string): Promise<Checkpoint | undefined> {
  const [row] = await db.query<Checkpoint>(sql`
    SELECT r.id || ':' || r.checkpoint_seq AS id, r.id AS run_id, r.checkpoint_seq AS sequence, r.checkpoint_source AS source,
      (CASE r.checkpoint WHEN '' THEN b.body ELSE r.checkpoint END)::json AS state, r.checkpoint_at AS created_at
    FROM runs r LEFT JOIN run_bodies b ON b.project_id = r.project_id AND b.run_id = r.id AND b.kind = 'checkpoint'
      AND b.seq = r.checkpoint_seq
    WHERE r.project_id = ${projectId} AND r.id = ${runId} AND r.checkpoint IS NOT NULL`);
  return row;
}

/** A sign of life. It does not move the run's deadline; the deadline looks at it when it comes due. */
export async function heartbeat(db: Queryable, reporter: Reporter): Promise<boolean> {
  const rows = await db.query(sql`
    UPDATE runs r SET heartbeat_at = strait_now()
    WHERE r.project_id = ${reporter.project_id} AND r.id = ${reporter.run_id}
      AND r.dispatch_seq = ${reporter.dispatch_seq} AND ${reporting} RETURNING 1`);
  return rows.length > 0;
}

const reportedBy = (reporter: Reporter): Statement => sql`
  SELECT r.project_id, r.id FROM runs r
  WHERE r.project_id = ${reporter.project_id} AND r.id = ${reporter.run_id} AND r.dispatch_seq = ${reporter.dispatch_seq}
    AND ${reporting}`;

export async function setState(
  db: Queryable,
  reporter: Reporter,
  key: string,
  value: unknown,
): Promise<RunState | undefined> {
  const [row] = await db.query<RunState>(sql`
    WITH run AS (${reportedBy(reporter)})
    INSERT INTO run_state (project_id, run_id, key, value) SELECT project_id, id, ${key}, ${json(value)}::json FROM run
    ON CONFLICT (project_id, run_id, key) DO UPDATE SET value = excluded.value, updated_at = strait_now()
    RETURNING run_id, key, value, updated_at`);
  return row;
}

export async function listState(
  db: Queryable,
  projectId: string,
  runId: string,
  page: PageRequest,
): Promise<Page<RunState>> {
  const after = positionOf("state", page, /^[\s\S]{1,256}$/);
  const rows = await db.query<RunState>(sql`
    SELECT run_id, key, value, updated_at FROM run_state
    WHERE project_id = ${projectId} AND run_id = ${runId} AND key > ${after ?? ""} ORDER BY key LIMIT ${fetchLimit(page)}`);
  return cutPage("state", page, rows, (row) => row.key);
}

export async function findState(
  db: Queryable,
  projectId: string,
  runId: string,
  key: string,
): Promise<RunState | undefined> {
  const [row] = await db.query<RunState>(sql`
    SELECT run_id, key, value, updated_at FROM run_state
    WHERE project_id = ${projectId} AND run_id = ${runId} AND key = ${key}`);
  return row;
}

/** Deletes a key, and tells whether it was there. Undefined: this dispatch may not write any more. */
export async function removeState(db: Queryable, reporter: Reporter, key: string): Promise<boolean | undefined> {
  const [row] = await db.query<{ was_there: boolean }>(sql`
    WITH run AS (${reportedBy(reporter)}),
    removed AS (DELETE FROM run_state s USING run WHERE s.project_id = run.project_id AND s.run_id = run.id AND s.key = ${key}
      RETURNING 1)
    SELECT EXISTS (SELECT FROM removed) AS was_there FROM run`);
  return row?.was_there;
}

export async function setOutput(
  db: Queryable,
  reporter: Reporter,
  key: string,
  value: unknown,
): Promise<RunOutput | undefined> {
  const [row] = await db.query<RunOutput>(sql`
    WITH run AS (${reportedBy(reporter)})
    INSERT INTO run_outputs (project_id, run_id, output_key, value)
    SELECT project_id, id, ${key}, ${json(value)}::json FROM run
    ON CONFLICT (project_id, run_id, output_key) DO UPDATE SET value = excluded.value, created_at = strait_now()
    RETURNING run_id, output_key, value, created_at`);
  return row;
}
