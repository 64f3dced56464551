import type { RunEvent } from "@strait/contract";
import { cutPage, fetchLimit, type Page, type PageRequest, positionOf } from "./page.ts";
import { type Queryable, records, sql } from "./sql.ts";

/**
 * One row per move, or per report of a run, in the order of its subject. A wait whose run goes on in the statement that ends it
 * has none for its end: that of the run names it, and the wait's own row says what became of it.
 */
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

/** What happened to a run or a trigger behind the change of number `after`, but for the end that only its row tells. */
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

export async function epoch(db: Queryable): Promise<string> {
  const [row] = await db.query<{ epoch: string }>(sql`SELECT epoch FROM database_epoch`);
  if (!row) throw new Error("the database has no epoch: its migrations are incomplete");
  return row.epoch;
}

/** A place in a feed of one life of the database: the last row read. */
export interface FeedPosition {
  readonly xid: string;
  readonly seq: number;
}

export interface FeedChange extends FeedPosition {
  /** Whether no transaction still runs that might commit a change before this one. */
  readonly is_settled: boolean;
}

/**
 * Whether a change of `xid` is settled. Transactions of other databases of the same PostgreSQL have ids from the same
 * counter, but nothing to commit here: they are left out, as far as they can be told. Who they are is only asked when
 * there is one that runs.
 */
const isSettled = sql`(
  xid < pg_snapshot_xmin(pg_current_snapshot()) OR xid < coalesce(
    (SELECT running FROM pg_snapshot_xip(pg_current_snapshot()) AS running
     WHERE NOT EXISTS (
       SELECT FROM pg_stat_activity a WHERE a.backend_xid = running::xid AND a.datname <> current_database())
     ORDER BY running LIMIT 1),
    pg_snapshot_xmax(pg_current_snapshot())))`;

/**
 * Changes of a workflow run, its steps, its runs and its waits, after a position. A reader may only go on as far as they
 * are settled: identity columns are not ordered by commit, and one that went past a slow commit would skip it for ever.
 */
export function ofWorkflowRun(
  db: Queryable,
  projectId: string,
  workflowRunId: string,
  after: FeedPosition,
  limit: number,
): Promise<FeedChange[]> {
  return db.query<FeedChange>(sql`
    SELECT xid::text AS xid, seq, ${isSettled} AS is_settled FROM changes
    WHERE project_id = ${projectId} AND workflow_run_id = ${workflowRunId}
      AND (xid, seq) > (${after.xid}::xid8, ${after.seq}::bigint)
    ORDER BY xid, seq LIMIT ${limit}`);
}

interface Followed {
  /** What the caller calls it. */
  readonly name: string;
  readonly project_id: string;
  readonly id: string;
}

interface WatchedSubject extends Followed {
  readonly feed: "run" | "trigger";
  readonly sequence: number;
}

interface WatchedWorkflowRun extends Followed, FeedPosition {
  readonly feed: "workflow_run";
}

/** Something that is followed, and how far it was read. */
export type Watched = WatchedSubject | WatchedWorkflowRun;

/**
 * The names of those that have moved on from where they were read. Of a run or a wait its row says so: the end of a wait may
 * have no change of its own.
 */
export async function moved(db: Queryable, watched: readonly Watched[]): Promise<string[]> {
  const runs = watched.filter((each) => each.feed === "run");
  const triggers = watched.filter((each) => each.feed === "trigger");
  const workflowRuns = watched.filter((each) => each.feed === "workflow_run");
  const followed = { feed: "text", name: "text", project_id: "text", id: "text" } as const;
  const numbered = { ...followed, sequence: "int4" } as const;
  const rows = await db.query<{ name: string }>(sql`
    SELECT i.name FROM ${records("i", numbered, runs)}
    JOIN runs r ON r.project_id = i.project_id AND r.id = i.id AND r.change_seq > i.sequence
    UNION ALL
    SELECT i.name FROM ${records("i", numbered, triggers)}
    JOIN event_triggers t ON t.project_id = i.project_id AND t.id = i.id AND t.change_seq > i.sequence
    UNION ALL
    SELECT name FROM ${records("w", { ...followed, xid: "text", seq: "int8" }, workflowRuns)}
    WHERE EXISTS (
      SELECT FROM changes c WHERE c.project_id = w.project_id AND c.workflow_run_id = w.id
        AND (c.xid, c.seq) > (w.xid::xid8, w.seq))`);
  return rows.map(({ name }) => name);
}
