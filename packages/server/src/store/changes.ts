import type { Page, PageRequest } from "./page.ts";
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

export interface ChangeFilter {
  readonly type?: string | undefined;
  readonly level?: string | undefined;
}

export interface ListedChange extends Change {
  readonly id: string;
  readonly run_id: string;
}

/** A run's log, newest first. The cursor is the number of the last change shown. */
export async function list(
  db: Queryable,
  projectId: string,
  runId: string,
  filter: ChangeFilter,
  page: PageRequest & { readonly before: number | null },
): Promise<Pick<Page<ListedChange>, "data" | "has_more">> {
  const rows = await db.query<ListedChange>(sql`
    SELECT subject_id || ':' || sequence AS id, subject_id AS run_id, ${columns} FROM changes
    WHERE project_id = ${projectId} AND subject_id = ${runId}
      AND (${page.before}::int IS NULL OR sequence < ${page.before}::int)
      AND (${filter.type ?? null}::text IS NULL OR kind = ${filter.type ?? null})
      AND (${filter.level ?? null}::text IS NULL OR level = ${filter.level ?? null})
    ORDER BY sequence DESC LIMIT ${page.limit + 1}`);
  return { data: rows.slice(0, page.limit), has_more: rows.length > page.limit };
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

/**
 * Changes of a workflow run, its steps, its runs and its waits, after a position. Only below the oldest running
 * transaction: identity columns are not ordered by commit, and a reader that went past a slow one would skip it for ever.
 */
export function ofWorkflowRun(
  db: Queryable,
  projectId: string,
  workflowRunId: string,
  after: Omit<FeedPosition, "epoch">,
  limit: number,
): Promise<Omit<FeedPosition, "epoch">[]> {
  return db.query(sql`
    SELECT xid::text AS xid, seq FROM changes
    WHERE project_id = ${projectId} AND workflow_run_id = ${workflowRunId}
      AND (xid, seq) > (${after.xid}::xid8, ${after.seq}::bigint)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, seq LIMIT ${limit}`);
}
