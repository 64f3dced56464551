import { UNDELIVERED } from "./events.ts";
import { ago, type Queryable, sql } from "./sql.ts";

/**
 * Deletes events that met no trigger, or whose trigger is gone: at most `limit`, those that somebody has at hand left out.
 * What was delivered goes with its trigger. A dead letter's age counts from when it became one, or was handled.
 *
 * @param endId - No event that is old enough has a larger id.
 * @returns How many.
 */
export async function removeEvents(
  db: Queryable,
  projectId: string,
  secs: number,
  endId: string,
  limit: number,
): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`
    WITH gone AS (
      DELETE FROM events WHERE ctid = ANY(ARRAY(
        SELECT e.ctid FROM events e
        WHERE e.project_id = ${projectId} AND e.id < ${endId} AND ${UNDELIVERED} AND e.disposition <> 'buffered'
          AND coalesce(e.handled_at, e.dead_lettered_at, e.created_at) < ${ago(secs)}
          AND NOT EXISTS (SELECT FROM event_triggers t WHERE t.project_id = e.project_id AND t.id = e.trigger_id)
        ORDER BY e.id LIMIT ${limit} FOR UPDATE SKIP LOCKED))
      RETURNING 1)
    SELECT count(*)::int4 AS n FROM gone`);
  return row?.n ?? 0;
}

/** Where a walk through the keys of all projects stands. */
export interface KeyPosition {
  readonly project_id: string;
  readonly environment_id: string;
  readonly event_key: string;
}

export const FIRST_KEY: KeyPosition = { project_id: "", environment_id: "", event_key: "" };

/**
 * Looks at the next keys of the walk, and deletes the rows of those that nobody has used for so long and that nothing
 * names any more. Whoever uses a key locks its row and sets its time, so a row in use is never deleted.
 *
 * @returns Where the walk goes on; undefined at its end.
 */
export async function removeKeys(
  db: Queryable,
  { project_id, environment_id, event_key }: KeyPosition,
  secs: number,
  limit: number,
): Promise<KeyPosition | undefined> {
  const [last] = await db.query<KeyPosition & { n: number }>(sql`
    WITH page AS (
      SELECT project_id, environment_id, event_key, updated_at, latest_trigger_id FROM event_keys
      WHERE (project_id, environment_id, event_key) > (${project_id}, ${environment_id}, ${event_key})
      ORDER BY project_id, environment_id, event_key LIMIT ${limit}),
    gone AS (
      DELETE FROM event_keys WHERE ctid = ANY(ARRAY(
        SELECT k.ctid FROM page p CROSS JOIN LATERAL (
          SELECT k.ctid FROM event_keys k
          WHERE k.project_id = p.project_id AND k.environment_id = p.environment_id AND k.event_key = p.event_key
            AND k.updated_at < ${ago(secs)}
          FOR UPDATE SKIP LOCKED) k
        WHERE p.updated_at < ${ago(secs)}
          AND NOT EXISTS (SELECT FROM event_triggers t WHERE t.project_id = p.project_id AND t.id = p.latest_trigger_id)
          AND NOT EXISTS (SELECT FROM event_triggers w WHERE w.project_id = p.project_id AND w.environment_id = p.environment_id
            AND w.event_key = p.event_key AND w.status = 'waiting' AND w.trigger_type = 'event')
          AND NOT EXISTS (SELECT FROM events e WHERE e.project_id = p.project_id AND e.environment_id = p.environment_id
            AND e.event_key = p.event_key AND e.disposition = 'buffered'))))
    SELECT project_id, environment_id, event_key, count(*) OVER ()::int4 AS n FROM page
    ORDER BY project_id DESC, environment_id DESC, event_key DESC LIMIT 1`);
  if (!last || last.n < limit) return undefined;
  const { n: _n, ...position } = last;
  return position;
}
