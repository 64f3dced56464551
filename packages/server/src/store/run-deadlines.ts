import { type Queryable, sql } from "./sql.ts";

export interface DueRun {
  readonly project_id: string;
  readonly run_id: string;
  readonly kind: "dispatch" | "expire";
  readonly dispatch_seq: number;
  readonly attempt: number;
  readonly max_attempts: number;
  readonly retry_strategy: string;
  readonly retry_delays_secs: number[];
}

/**
 * Takes deadlines that have come. A run that gave a sign of life meanwhile is armed again, counted from that sign, and is
 * not among the answers; nor is one whose dispatch is over, nor one that started before it expired.
 */
export function take(tx: Queryable, limit: number): Promise<DueRun[]> {
  return tx.query<DueRun>(sql`
    WITH gone AS (
      -- By row address, as in releaseDue of runs.
      DELETE FROM run_deadlines WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM run_deadlines WHERE due_at <= strait_now()
        ORDER BY due_at, project_id, run_id LIMIT ${limit} FOR UPDATE SKIP LOCKED))
      RETURNING *),
    state AS (
      SELECT g.kind, g.dispatch_seq, r.project_id, r.id AS run_id, r.status, r.attempt, r.max_attempts,
        j.retry_strategy, j.retry_delays_secs,
        r.heartbeat_at + make_interval(secs => j.timeout_secs) AS next_due
      FROM gone g JOIN runs r ON r.project_id = g.project_id AND r.id = g.run_id
      JOIN jobs j ON j.project_id = r.project_id AND j.id = r.job_id
      WHERE CASE g.kind WHEN 'expire' THEN r.status IN ('delayed', 'queued') AND r.dispatch_seq = 0
        ELSE r.status = 'executing' AND r.detached AND r.dispatch_seq = g.dispatch_seq END),
    armed AS (
      INSERT INTO run_deadlines (due_at, project_id, run_id, kind, dispatch_seq)
      SELECT next_due, project_id, run_id, kind, dispatch_seq FROM state WHERE kind = 'dispatch' AND next_due > strait_now())
    SELECT project_id, run_id, kind, dispatch_seq, attempt, max_attempts, retry_strategy, retry_delays_secs
    FROM state WHERE kind = 'expire' OR next_due IS NULL OR next_due <= strait_now()`);
}

/** Milliseconds until the next time that a run is due, by schedule or by deadline; at most `horizonMs`. */
export async function msUntilDue(db: Queryable, table: "schedule" | "deadlines", horizonMs: number): Promise<number> {
  const next =
    table === "schedule"
      ? sql`SELECT min(due_at) AS due FROM run_schedule`
      : sql`SELECT min(due_at) AS due FROM run_deadlines`;
  const [row] = await db.query<{ ms: number | null }>(sql`
    SELECT (extract(epoch FROM due - strait_now()) * 1000)::float8 AS ms FROM (${next}) d`);
  return Math.min(row?.ms ?? horizonMs, horizonMs);
}
