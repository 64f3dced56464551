import { runStatuses, triggerStatuses, type WaitGroupResult } from "@strait/contract";
import { isTerminalRunStatus, isTerminalTriggerStatus } from "@strait/core";
import { type Queryable, sql } from "../../src/store/sql.ts";

/** A wait as its row tells. */
export interface TriggerRow {
  readonly id: string;
  readonly event_key: string;
  readonly run_id: string;
  readonly type: "event" | "group" | "inbox";
  /** The group whose member it is. */
  readonly group_id: string | null;
  /** Of a group: how many of its members have to be answered. */
  readonly needed: number | null;
  readonly generation: number;
  readonly status: string;
  readonly kind: string | null;
  readonly cancellation: unknown;
  readonly payload: unknown;
  /** Whether it ended before its deadline, or as it opened; null when it has no deadline. */
  readonly is_in_time: boolean | null;
  readonly version: number;
  readonly resumes: boolean;
  /** How often its status became a final one, by its changes. */
  readonly ends: number;
  /** Events that say that they were delivered to it, or counted. */
  readonly deliveries: number;
}

/** A group of waits, with what the run is told when it ends. */
export type GroupRow = TriggerRow & { readonly type: "group"; readonly payload: WaitGroupResult | null };

export const isGroup = (trigger: TriggerRow): trigger is GroupRow => trigger.type === "group";

export interface RunRow {
  readonly id: string;
  readonly status: string;
  readonly result: { readonly reason: string; readonly told: unknown } | null;
  readonly dispatch_seq: number;
  /** How often it entered and left `waiting`, and was put back from `executing`, by its changes. */
  readonly parked: number;
  readonly woken: number;
  readonly put_back: number;
  readonly ends: number;
}

/** A message in the inbox of a run. */
export interface MessageRow {
  readonly run_id: string;
  readonly name: string;
  readonly sequence: number;
  readonly payload: unknown;
  readonly disposition: string;
  readonly is_read: boolean;
}

const ended = runStatuses.filter(isTerminalRunStatus);
const settled = triggerStatuses.filter(isTerminalTriggerStatus);

/** The waits on keys under a prefix, their groups, and the waits of the runs on their inboxes, in the order in which they opened. */
export function triggersOf(
  db: Queryable,
  projectId: string,
  prefix: string,
  runIds: readonly string[],
): Promise<TriggerRow[]> {
  return db.query<TriggerRow>(sql`
    WITH keyed AS (
      SELECT * FROM event_triggers
      WHERE project_id = ${projectId} AND event_key >= ${prefix} AND event_key < ${`${prefix}~`}),
    asked AS (
      SELECT * FROM keyed UNION ALL
      SELECT t.* FROM event_triggers t
      WHERE t.project_id = ${projectId} AND t.event_key = ANY(${runIds.map((id) => `inbox:${id}`)}) UNION ALL
      SELECT t.* FROM event_triggers t
      WHERE t.project_id = ${projectId} AND t.id IN (SELECT group_id FROM keyed WHERE group_id IS NOT NULL))
    SELECT t.id, t.event_key, t.job_run_id AS run_id, t.trigger_type AS type, t.group_id, t.group_needed AS needed, t.generation,
      t.status, t.cancellation->>'kind' AS kind, t.cancellation, t.version, t.response_payload::json AS payload,
      t.finished_at < t.expires_at OR t.finished_at = t.requested_at AS is_in_time,
      CASE t.status WHEN 'received' THEN true WHEN 'timed_out' THEN t.on_timeout = 'resume' ELSE t.on_cancel = 'resume' END
        AS resumes,
      (SELECT count(*)::int FROM changes c WHERE c.project_id = t.project_id
        AND c.subject_id IN (t.id, t.job_run_id) AND (c.ended_trigger_id = t.id
          OR c.subject_id = t.id AND c.kind = 'status' AND c.after = ANY(${settled}))) AS ends,
      (SELECT count(*)::int FROM sends e WHERE e.project_id = t.project_id AND e.environment_id = t.environment_id
        AND e.event_key = t.event_key AND e.trigger_id = t.id AND e.disposition IN ('delivered', 'recorded')) AS deliveries
    FROM asked t ORDER BY t.id`);
}

export function runsOf(db: Queryable, projectId: string, ids: readonly string[]): Promise<RunRow[]> {
  return db.query<RunRow>(sql`
    SELECT r.id, r.status, r.dispatch_seq,
      coalesce((SELECT b.body FROM run_bodies b WHERE b.project_id = r.project_id AND b.run_id = r.id AND b.kind = 'result'),
        r.result)::json AS result,
      count(*) FILTER (WHERE c.after = 'waiting')::int AS parked,
      count(*) FILTER (WHERE c.before = 'waiting')::int AS woken,
      count(*) FILTER (WHERE c.before = 'executing' AND c.after = 'queued')::int AS put_back,
      count(*) FILTER (WHERE c.after = ANY(${ended}))::int AS ends
    FROM runs r LEFT JOIN changes c ON c.project_id = r.project_id AND c.subject_id = r.id AND c.kind = 'status'
    WHERE r.project_id = ${projectId} AND r.id = ANY(${ids}) GROUP BY r.project_id, r.id`);
}

/** The keys under a prefix for which events are kept until a wait comes, once for each. */
export async function bufferedOf(db: Queryable, projectId: string, prefix: string): Promise<string[]> {
  const rows = await db.query<{ event_key: string }>(sql`
    SELECT event_key FROM sends
    WHERE project_id = ${projectId} AND event_key >= ${prefix} AND event_key < ${`${prefix}~`} AND disposition = 'buffered'`);
  return rows.map(({ event_key }) => event_key);
}

/** What the inboxes of runs have, in order. */
export function messagesOf(db: Queryable, projectId: string, runIds: readonly string[]): Promise<MessageRow[]> {
  return db.query<MessageRow>(sql`
    SELECT run_id, name, sequence, payload::json AS payload, disposition, received_at IS NOT NULL AS is_read
    FROM inbox_messages WHERE project_id = ${projectId} AND run_id = ANY(${runIds}) ORDER BY run_id, sequence`);
}

export const hasEnded = ({ status }: { readonly status: string }): boolean => ended.some((one) => one === status);
