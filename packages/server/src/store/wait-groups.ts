import type { EventTrigger, WaitGroupMode } from "@strait/contract";
import { UNDELIVERED } from "./events.ts";
import { type Queryable, records, sql } from "./sql.ts";
import { closesAt, columns, type KeyState } from "./triggers.ts";

/** The deadline of a group, which its members share: fixed before any of them opens. */
export async function deadlineOf(
  tx: Queryable,
  timeoutSecs: number | null,
  deadline: string | null,
): Promise<string | null> {
  const [row] = await tx.query<{ expires_at: string | null }>(sql`
    SELECT coalesce(${deadline}::timestamptz, strait_now() + make_interval(secs => ${timeoutSecs}::int4)) AS expires_at`);
  return row?.expires_at ?? null;
}

export interface NewGroup {
  readonly project_id: string;
  /** Sorts before the ids of its members: locks are taken in the order of ids. */
  readonly id: string;
  readonly environment_id: string;
  readonly job_run_id: string;
  readonly mode: WaitGroupMode;
  readonly needed: number;
  readonly timeout_secs: number | null;
  readonly expires_at: string | null;
  readonly grace_secs: number;
  readonly on_timeout: string;
  /** JSON text; there is one where `on_timeout` is `resolve`. */
  readonly timeout_payload: string | null;
  readonly on_cancel: string;
  readonly actor: string;
  /** JSON text; what a group is told that is met already. Null opens a waiting one. */
  readonly result: string | null;
}

export async function insert(tx: Queryable, group: NewGroup): Promise<EventTrigger> {
  const [row] = await tx.query<EventTrigger>(sql`
    WITH opened AS (
      INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, job_run_id,
        group_mode, group_needed, status, request_payload, response_payload, timeout_secs, received_at, finished_at,
        expires_at, grace_secs, closes_at, on_timeout, timeout_payload, on_cancel)
      SELECT ${group.project_id}, ${group.id}, ${group.environment_id}, 'group:' || ${group.id}::text, 1, 'job_run', 'group',
        ${group.job_run_id}, i.mode, i.needed, CASE WHEN i.result IS NULL THEN 'waiting' ELSE 'received' END,
        json_build_object('mode', i.mode, 'count', i.needed), i.result, ${group.timeout_secs}::int4,
        CASE WHEN i.result IS NOT NULL THEN strait_now() END, CASE WHEN i.result IS NOT NULL THEN strait_now() END,
        i.expires_at, i.grace_secs, ${closesAt(sql`i.expires_at`, sql`i.grace_secs`)},
        ${group.on_timeout}, ${group.timeout_payload}, ${group.on_cancel}
      FROM (
        SELECT ${group.mode}::text AS mode, ${group.needed}::int4 AS needed, ${group.result}::text AS result,
          ${group.expires_at}::timestamptz AS expires_at, ${group.grace_secs}::int4 AS grace_secs) i
      RETURNING *),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor)
      SELECT project_id, id, 1, 'status', status, ${group.actor} FROM opened)
    SELECT ${columns} FROM opened t`);
  if (!row) throw new Error("a group of waits was not inserted");
  return row;
}

export interface GroupState extends KeyState {
  readonly group_mode: WaitGroupMode;
  readonly group_needed: number;
}

/** Locks a group unless somebody holds it; whether it is locked now. */
export async function tryLock(tx: Queryable, projectId: string, id: string): Promise<boolean> {
  const rows = await tx.query(sql`
    SELECT 1 FROM event_triggers WHERE project_id = ${projectId} AND id = ${id} AND status = 'waiting'
    FOR NO KEY UPDATE SKIP LOCKED`);
  return rows.length > 0;
}

export interface GroupId {
  readonly project_id: string;
  readonly id: string;
}

const groupIdTypes = { project_id: "text", id: "text" } as const;

/** Groups and their members, by the groups' ids; the members in the order in which they opened. Read in statements after the groups are locked. */
export async function statesOf(
  tx: Queryable,
  ids: readonly GroupId[],
): Promise<ReadonlyMap<string, { readonly group: GroupState; readonly members: KeyState[] }>> {
  const overdue = sql`t.status = 'waiting' AND coalesce(t.closes_at <= strait_now(), false) AS overdue`;
  const groups = await tx.query<GroupState>(sql`
    SELECT ${columns}, t.group_mode, t.group_needed, ${overdue}
    FROM ${records("i", groupIdTypes, ids)} JOIN event_triggers t ON t.project_id = i.project_id AND t.id = i.id`);
  const members = await tx.query<KeyState>(sql`
    SELECT ${columns}, ${overdue}
    FROM ${records("i", groupIdTypes, ids)} CROSS JOIN LATERAL (
      SELECT m.* FROM event_triggers m
      WHERE m.project_id = i.project_id AND m.group_id = i.id OFFSET 0) t -- or a plan from an empty table reads all members
    ORDER BY t.id`);
  const states = new Map(groups.map((group) => [group.id, { group, members: [] as KeyState[] }]));
  for (const member of members) states.get(member.group_id ?? "")?.members.push(member);
  return states;
}

/** Notes that the event was the last one that its group needed. */
export async function markDecisive(tx: Queryable, projectId: string, eventId: string): Promise<void> {
  await tx.query(sql`
    UPDATE events SET disposition = 'delivered' WHERE project_id = ${projectId} AND id = ${eventId} AND ${UNDELIVERED}`);
}
