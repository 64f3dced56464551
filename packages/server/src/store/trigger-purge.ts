import { hash } from "node:crypto";
import { ago, type Queryable, type Statement, sql } from "./sql.ts";

export interface PurgeRequest {
  readonly project_id: string;
  readonly statuses: readonly string[];
  readonly cutoff: Cutoff;
  readonly limit: number;
}

/** What ended before it is old. */
export type Cutoff =
  | { readonly before: string }
  | { readonly older_than_days: number }
  | { readonly older_than_secs: number };

export interface PurgeSet {
  /** Oldest first. */
  readonly ids: readonly string[];
  readonly digest: string;
  readonly has_more: boolean;
}

function timeOf(cutoff: Cutoff): Statement {
  if ("before" in cutoff) return sql`${cutoff.before}::timestamptz`;
  if ("older_than_secs" in cutoff) return ago(cutoff.older_than_secs);
  return sql`strait_now() - make_interval(days => ${cutoff.older_than_days}::int4)`;
}

/**
 * Triggers that ended before a time and that nothing needs any more: a run or a workflow run that goes on may still have to
 * be told, and so may a receiver.
 *
 * @param endId - No trigger that is old enough has a larger id: it ends the search, where those behind it are many.
 */
export async function find(db: Queryable, request: PurgeRequest, endId: string): Promise<PurgeSet> {
  const { project_id, statuses, cutoff, limit } = request;
  const rows = await db.query<{ id: string }>(sql`
    SELECT t.id FROM unnest(${statuses}::text[]) AS s (status)
    CROSS JOIN LATERAL (
      SELECT t.id FROM event_triggers t
      WHERE t.project_id = ${project_id} AND t.status = s.status AND t.id < ${endId} AND t.finished_at < ${timeOf(cutoff)}
        AND NOT EXISTS (SELECT FROM runs r WHERE r.project_id = t.project_id AND r.id = t.job_run_id AND r.finished_at IS NULL)
        AND NOT EXISTS (SELECT FROM workflow_runs w WHERE w.project_id = t.project_id AND w.id = t.workflow_run_id
          AND w.finished_at IS NULL)
        AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.project_id = t.project_id AND d.event_trigger_id = t.id
          AND d.status || '' = 'pending') -- by the trigger: an empty table's index of what is due would read all of that
      ORDER BY t.id LIMIT ${limit + 1}) t
    ORDER BY t.id LIMIT ${limit + 1}`);
  const ids = rows.slice(0, limit).map(({ id }) => id);
  return { ids, digest: hash("sha256", ids.join(" ")), has_more: rows.length > limit };
}

/** Locks triggers that are to be deleted; those that somebody has at hand are left for another time. */
export async function lockFree(tx: Queryable, projectId: string, ids: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(sql`
    SELECT id FROM event_triggers WHERE project_id = ${projectId} AND id = ANY(${ids}) ORDER BY id FOR UPDATE SKIP LOCKED`);
  return rows.map(({ id }) => id);
}

/**
 * Deletes triggers that have ended, what was sent to them, whom that was told, and what streams would tell of them. Their
 * keys stay, and go on counting; so do events that met them but are still buffered for another wait, and dead letters that
 * nobody has handled. Returns how many were there.
 */
export async function remove(db: Queryable, projectId: string, ids: readonly string[]): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`
    WITH gone AS (
      DELETE FROM event_triggers WHERE project_id = ${projectId} AND id = ANY(${ids}) AND finished_at IS NOT NULL
      RETURNING id, environment_id, event_key),
    sent AS (
      DELETE FROM events WHERE ctid = ANY(ARRAY(
        SELECT e.ctid FROM (SELECT DISTINCT environment_id, event_key FROM gone) k
        CROSS JOIN LATERAL (
          SELECT e.ctid FROM events e
          WHERE e.project_id = ${projectId} AND e.environment_id = k.environment_id AND e.event_key = k.event_key
            AND e.trigger_id = ANY(${ids}) AND e.disposition <> 'buffered'
            AND e.dead_letter_status IS DISTINCT FROM 'open' OFFSET 0) e))),
    delivered AS (
      DELETE FROM webhook_deliveries WHERE project_id = ${projectId} AND event_trigger_id = ANY(${ids}) RETURNING id),
    told AS (
      DELETE FROM changes WHERE ctid = ANY(ARRAY(
        SELECT c.ctid FROM (SELECT unnest(${ids}::text[]) AS id UNION ALL SELECT id FROM delivered) s
        CROSS JOIN LATERAL (
          SELECT c.ctid FROM changes c WHERE c.project_id = ${projectId} AND c.subject_id = s.id OFFSET 0) c)))
    SELECT count(*)::int4 AS n FROM gone`);
  return row?.n ?? 0;
}
