import { runMoves } from "@strait/core";
import { type ClaimedRun, claimedColumns, claimedJoin } from "./runs.ts";
import { type Queryable, records, sql } from "./sql.ts";

export interface QueuePair {
  readonly project_id: string;
  readonly priority: number;
  /** Entries ready before this time have been taken already: the scan starts here, past the dead ones. */
  readonly floor: string;
}

/** The (project, priority) pairs that have something queued, found by skipping from one to the next. */
export function queuedPairs(db: Queryable, afterProject: string, limit: number): Promise<Omit<QueuePair, "floor">[]> {
  return db.query<Omit<QueuePair, "floor">>(sql`
    WITH RECURSIVE pair AS (
      (SELECT project_id, priority FROM run_queue WHERE project_id > ${afterProject} ORDER BY project_id, priority LIMIT 1)
      UNION ALL
      SELECT next.project_id, next.priority FROM pair CROSS JOIN LATERAL (
        SELECT q.project_id, q.priority FROM run_queue q
        WHERE (q.project_id, q.priority) > (pair.project_id, pair.priority)
        ORDER BY q.project_id, q.priority LIMIT 1) next)
    SELECT project_id, priority FROM pair LIMIT ${limit}`);
}

export interface QueuedClaim extends ClaimedRun {
  readonly priority: number;
  readonly ready_at: string;
}

export interface Claim {
  /** Those that were started, in the order in which their turn came. */
  readonly runs: readonly QueuedClaim[];
  /** Entries that were dropped, since their run has moved on. */
  readonly dropped: number;
}

/**
 * Takes up to `room` runs from the heads of the given pairs and starts them on the lease. Projects are served in turn, in
 * the order of the pairs, one run each as long as they have any; a project's own runs oldest first, with an hour's credit
 * for each point of priority. Entries whose run has moved on are dropped. Nothing is taken when the lease is dead.
 */
export async function claim(
  db: Queryable,
  pairs: readonly QueuePair[],
  perPair: number,
  room: number,
  leaseId: number,
): Promise<Claim> {
  const { from, to } = runMoves.start;
  const types = { project_id: "text", priority: "int4", floor: "timestamptz", turn: "int4" } as const;
  const turns = pairs.map((pair, turn) => ({ ...pair, turn }));
  const rows = await db.query<QueuedClaim | { readonly id: null }>(sql`
    WITH lease AS (SELECT id FROM leases WHERE id = ${leaseId} AND alive FOR KEY SHARE),
    head AS (
      SELECT h.*, p.turn FROM ${records<QueuePair & { turn: number }>("p", types, turns)}
      CROSS JOIN LATERAL (
        SELECT q.project_id, q.priority, q.ready_at, q.seq, q.run_id FROM run_queue q
        WHERE q.project_id = p.project_id AND q.priority = p.priority AND q.ready_at >= p.floor
        ORDER BY q.ready_at, q.seq LIMIT ${perPair} FOR UPDATE SKIP LOCKED) h),
    round AS (
      SELECT head.*, row_number() OVER (
        PARTITION BY project_id ORDER BY ready_at - make_interval(hours => priority), seq) AS round FROM head),
    picked AS (SELECT round.* FROM round CROSS JOIN lease ORDER BY round, turn LIMIT ${room}),
    gone AS (
      DELETE FROM run_queue q USING picked k
      WHERE q.project_id = k.project_id AND q.priority = k.priority AND q.ready_at = k.ready_at AND q.seq = k.seq
      RETURNING q.project_id, q.run_id, q.priority, q.ready_at, q.seq, k.round, k.turn),
    moved AS (
      UPDATE runs r SET status = ${to}, lease_id = ${leaseId}, dispatch_seq = r.dispatch_seq + 1, started_at = strait_now(),
        heartbeat_at = NULL, detached = false, next_retry_at = NULL, change_seq = r.change_seq + 1
      FROM gone g
      WHERE r.project_id = g.project_id AND r.id = g.run_id AND r.status = ANY(${from})
        AND (r.expires_at IS NULL OR r.expires_at > strait_now() OR r.dispatch_seq > 0)
      RETURNING r.*, g.seq),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id)
      SELECT project_id, id, change_seq, 'status', 'queued', status, 'system', workflow_run_id FROM moved)
    SELECT ${claimedColumns}, g.priority, g.ready_at FROM gone g LEFT JOIN (moved r ${claimedJoin}) ON r.seq = g.seq
    ORDER BY g.round, g.turn`);
  const started = rows.filter((row): row is QueuedClaim => row.id !== null);
  return { runs: started, dropped: rows.length - started.length };
}

/** Moves runs whose time has come from the schedule to the queue. */
export function releaseDue(
  db: Queryable,
  limit: number,
): Promise<{ id: string; project_id: string; priority: number }[]> {
  const { from, to } = runMoves.release;
  return db.query(sql`
    WITH gone AS (
      -- By row address: planned as a join, the limit counts as a tenth of the table, which is then read from end to end.
      DELETE FROM run_schedule WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM run_schedule WHERE due_at <= strait_now()
        ORDER BY due_at, project_id, run_id LIMIT ${limit} FOR UPDATE SKIP LOCKED))
      RETURNING project_id, run_id),
    released AS (
      UPDATE runs r SET status = ${to}, change_seq = r.change_seq + 1 FROM gone g
      WHERE r.project_id = g.project_id AND r.id = g.run_id AND r.status = ANY(${from}) RETURNING r.*),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id)
      SELECT project_id, id, change_seq, 'status', 'delayed', status, 'system', workflow_run_id FROM released),
    ready AS (
      SELECT project_id, id, priority FROM released
      UNION ALL
      SELECT r.project_id, r.id, r.priority FROM gone g
      JOIN runs r ON r.project_id = g.project_id AND r.id = g.run_id WHERE r.status = ${to}),
    queue AS (
      INSERT INTO run_queue (project_id, priority, ready_at, run_id)
      SELECT project_id, priority, strait_now(), id FROM ready)
    SELECT project_id, id, priority FROM ready`);
}

/** Beyond this a queue is long, however long it is. */
const COUNTED_UP_TO = 100_000;

/** How many runs of all projects are ready, counted up to a bound. */
export async function depth(db: Queryable): Promise<number> {
  const [row] = await db.query<{ n: number }>(
    sql`SELECT count(*)::int4 AS n FROM (SELECT FROM run_queue LIMIT ${COUNTED_UP_TO}::int8) counted`,
  );
  return row?.n ?? 0;
}
