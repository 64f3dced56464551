import { runStatuses, triggerStatuses } from "@strait/contract";
import { isTerminalRunStatus, isTerminalTriggerStatus } from "@strait/core";
import { type Queryable, sql } from "../../src/store/sql.ts";
import type { RunRow, TriggerRow } from "./judge.ts";

const ended = runStatuses.filter(isTerminalRunStatus);
const settled = triggerStatuses.filter(isTerminalTriggerStatus);

/** The waits on a key, in the order of their generations. */
export function triggersOf(db: Queryable, eventKey: string): Promise<TriggerRow[]> {
  return db.query<TriggerRow>(sql`
    SELECT t.id, t.job_run_id AS run_id, t.generation, t.status, t.cancellation->>'kind' AS kind, t.version,
      t.response_payload::json AS payload, 
      t.finished_at < t.expires_at OR t.finished_at = t.requested_at AS is_in_time,
      CASE t.status WHEN 'received' THEN true WHEN 'timed_out' THEN t.on_timeout = 'resume' ELSE t.on_cancel = 'resume' END
        AS resumes,
      (SELECT count(*)::int FROM changes c WHERE c.project_id = t.project_id AND c.subject_id = t.id
        AND c.kind = 'status' AND c.after = ANY(${settled})) AS ends,
      (SELECT count(*)::int FROM events e WHERE e.project_id = t.project_id AND e.trigger_id = t.id
        AND e.disposition = 'delivered') AS deliveries
    FROM event_triggers t WHERE t.event_key = ${eventKey} ORDER BY t.generation`);
}

export function runsOf(db: Queryable, ids: readonly string[]): Promise<RunRow[]> {
  return db.query<RunRow>(sql`
    SELECT r.id, r.status, r.result::json AS result, r.dispatch_seq,
      count(*) FILTER (WHERE c.after = 'waiting')::int AS parked,
      count(*) FILTER (WHERE c.before = 'waiting')::int AS woken,
      count(*) FILTER (WHERE c.before = 'executing' AND c.after = 'queued')::int AS put_back,
      count(*) FILTER (WHERE c.after = ANY(${ended}))::int AS ends
    FROM runs r LEFT JOIN changes c ON c.project_id = r.project_id AND c.subject_id = r.id AND c.kind = 'status'
    WHERE r.id = ANY(${ids}) GROUP BY r.project_id, r.id`);
}

/** How many events are kept for a wait to come. */
export async function bufferedOf(db: Queryable, eventKey: string): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`
    SELECT count(*)::int AS n FROM events WHERE event_key = ${eventKey} AND disposition = 'buffered'`);
  return row?.n ?? 0;
}

export const hasEnded = ({ status }: { readonly status: string }): boolean => ended.some((one) => one === status);
