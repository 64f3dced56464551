import type { RunEvent } from "@strait/contract";
import { cutPage, fetchLimit, type Page, type PageRequest, positionOf } from "./page.ts";
import { type Queryable, sql } from "./sql.ts";

/** One row per move, or per report of a run, in the order of its subject. */
export interface Change {
  readonly sequence: number;
  readonly kind: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly level: string;
  readonly message: string | null;
  readonly data: unknown;
  readonly created_at: string;
}

const columns = sql`sequence, kind, before, after, level, message, data, created_at`;

/** What happened to a run or a trigger after `sequence`, without holes. */
export function ofSubject(
  db: Queryable,
  projectId: string,
  subjectId: string,
  after: number,
  limit: number,
): Promise<Change[]> {
  return db.query<Change>(sql`
    SELECT ${columns} FROM changes
    WHERE project_id = ${projectId} AND subject_id = ${subjectId} AND sequence > ${after}
    ORDER BY sequence LIMIT ${limit}`);
}

/** A run's log, in the order in which it happened. */
export async function list(
  db: Queryable,
  projectId: string,
  runId: string,
  page: PageRequest,
): Promise<Page<RunEvent>> {
  const after = positionOf("run-events", page, /^\d{1,9}$/);
  const rows = await db.query<RunEvent>(sql`
    SELECT subject_id || ':' || sequence AS id, subject_id AS run_id, sequence, kind AS type, level, message,
      coalesce(data, CASE kind WHEN 'status' THEN json_build_object('from', before, 'to', after) END) AS data, created_at
    FROM changes
    WHERE project_id = ${projectId} AND subject_id = ${runId} AND sequence > ${Number(after ?? 0)}
    ORDER BY sequence LIMIT ${fetchLimit(page)}`);
  return cutPage("run-events", page, rows, (row) => String(row.sequence));
}

/** A place in a feed: this database's life, and the last row read. */
export interface FeedPosition {
  readonly epoch: string;
  readonly xid: string;
  readonly seq: number;
}

export async function epoch(db: Queryable): Promise<string> {
  const [row] = await db.query<{ epoch: string }>(sql`SELECT epoch FROM database_epoch`);
  if (!row) throw new Error("the database has no epoch: its migrations are incomplete");
  return row.epoch;
}

export interface FeedChange extends Omit<FeedPosition, "epoch"> {
  /** Whether no transaction still runs that might commit a change before this one. */
  readonly is_settled: boolean;
}

/**
 * Changes of a workflow run, its steps, its runs and its waits, after a position. A reader may only go on as far as they
 * are settled: identity columns are not ordered by commit, and one that went past a slow commit would skip it for ever.
 */
export function ofWorkflowRun(
  db: Queryable,
  projectId: string,
  workflowRunId: string,
  after: Omit<FeedPosition, "epoch">,
  limit: number,
): Promise<FeedChange[]> {
  return db.query<FeedChange>(sql`
    SELECT xid::text AS xid, seq, xid < pg_snapshot_xmin(pg_current_snapshot()) AS is_settled FROM changes
    WHERE project_id = ${projectId} AND workflow_run_id = ${workflowRunId}
      AND (xid, seq) > (${after.xid}::xid8, ${after.seq}::bigint)
    ORDER BY xid, seq LIMIT ${limit}`);
}
