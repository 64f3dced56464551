import type { EventStats, TriggerStatus } from "@strait/contract";
import { type Queryable, type Statement, sql } from "./sql.ts";
import { RFC_3339 } from "./triggers.ts";

/** Beyond this the difference matters to nobody, and every thousand more would cost a tenth of a millisecond per count. */
const COUNTED_UP_TO = 1_000;
/** How many waits the mean is taken of. */
const AVERAGED = 1_000;

const upTo = (rows: Statement): Statement =>
  sql`(SELECT count(*)::int4 FROM (${rows} LIMIT ${COUNTED_UP_TO}::int8) counted)`;

/** How the waits of a project stand, by bounded ranges of indexes: no count goes beyond `counted_up_to`. */
export async function read(db: Queryable, projectId: string, nearDeadlineSecs: number): Promise<EventStats> {
  const triggers = sql`FROM event_triggers t WHERE t.project_id = ${projectId}`;
  const withStatus = (status: TriggerStatus) => upTo(sql`SELECT 1 ${triggers} AND t.status = ${status}`);
  const dated = sql`${triggers} AND t.finished_at IS NULL AND t.expires_at IS NOT NULL`;
  const [row] = await db.query<EventStats>(sql`
    SELECT ${COUNTED_UP_TO}::int4 AS counted_up_to,
      ${withStatus("waiting")} AS waiting, ${withStatus("received")} AS received, ${withStatus("timed_out")} AS timed_out,
      ${withStatus("canceled")} AS canceled, ${withStatus("superseded")} AS superseded,
      ${upTo(sql`SELECT 1 ${triggers} AND t.finished_at IS NULL AND t.expires_at IS NULL`)} AS without_deadline,
      ${upTo(sql`SELECT 1 ${dated} AND t.expires_at <= strait_now() + make_interval(secs => ${nearDeadlineSecs}::int4)`)} AS near_deadline,
      ${nearDeadlineSecs}::int4 AS near_deadline_secs,
      (SELECT t.expires_at ${dated} ORDER BY t.expires_at, t.id LIMIT 1) AS next_deadline,
      (SELECT json_build_object('trigger_id', t.id, 'event_key', t.event_key, 'requested_at', to_char(t.requested_at, ${RFC_3339}))
        ${triggers} AND t.status = 'waiting' ORDER BY t.id LIMIT 1) AS oldest_waiting,
      ${upTo(sql`SELECT 1 FROM events e WHERE e.project_id = ${projectId} AND e.disposition = 'buffered'`)} AS buffered,
      ${upTo(sql`SELECT 1 FROM events e WHERE e.project_id = ${projectId} AND e.dead_letter_status = 'open'`)} AS dead_letters,
      (SELECT round(avg(extract(epoch FROM received_at - requested_at)), 3)::float8 FROM (
        SELECT t.received_at, t.requested_at ${triggers} AND t.status = 'received' ORDER BY t.id DESC
        LIMIT ${AVERAGED}::int8) youngest) AS avg_wait_duration_secs`);
  if (!row) throw new Error("a statement without a table had no row");
  return row;
}
