import type { EventTrigger } from "@strait/contract";
import { type Queryable, records, type Statement, sql } from "./sql.ts";

/** A trigger as the wire has it, from the row `t`. */
export const columns = sql`
  t.id, t.event_key, t.generation, t.broadcast, t.project_id, t.environment_id, t.source_type, t.trigger_type, t.workflow_run_id,
  t.workflow_step_run_id, t.job_run_id, t.status, t.request_payload, t.response_payload::json AS response_payload,
  t.timeout_secs, t.requested_at, t.received_at, t.finished_at, t.expires_at, t.grace_secs, t.version, t.error, t.cancellation,
  t.notify_url, t.notify_status, t.sent_by, t.payload_schema, t.filter, t.on_timeout,
  t.timeout_payload::json AS timeout_payload, t.on_cancel, t.tags, t.group_id, t.max_payload_bytes`;

/** For `to_char` of a time, in a session whose time zone is UTC. */
export const RFC_3339 = sql`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;

/** When a wait with this deadline and grace ends: `closes_at`, which is written wherever one of the two is. */
export const closesAt = (deadline: Statement, graceSecs: Statement): Statement =>
  sql`${deadline} + make_interval(secs => ${graceSecs})`;

/** Of `webhook_deliveries`, in the order of `deliveryOf`. */
export const deliveryColumns = sql`
  id, project_id, event_trigger_id, event_type, run_id, job_id, webhook_url, payload, next_retry_at`;

/**
 * The delivery to `notify_url` that tells of the present status of `t`, a trigger's row. Its payload is stored as the bytes
 * that every attempt sends.
 */
export const deliveryOf = (id: Statement): Statement => sql`
  ${id}, t.project_id, t.id, 'trigger.' || t.status, t.job_run_id,
  (SELECT r.job_id FROM runs r WHERE r.project_id = t.project_id AND r.id = t.job_run_id), t.notify_url,
  (SELECT row_to_json(body)::text FROM (
    SELECT 'trigger.' || t.status AS event, t.id AS trigger_id, t.event_key, t.generation, t.project_id, t.environment_id,
      t.status, to_char(t.requested_at, ${RFC_3339}) AS requested_at, to_char(t.expires_at, ${RFC_3339}) AS expires_at,
      to_char(t.finished_at, ${RFC_3339}) AS finished_at, t.source_type, t.workflow_run_id, t.workflow_step_run_id,
      t.job_run_id, '/v1/events/' || strait_encode_uri_component(t.event_key) || '/send' AS callback_url) body),
  strait_now()`;

/** A wait to be opened; with a payload it is born received, having taken a buffered event. */
export interface NewTrigger {
  readonly project_id: string;
  readonly id: string;
  readonly environment_id: string;
  readonly event_key: string;
  readonly generation: number;
  /** Empty for a wait that has its key to itself, else its id. */
  readonly slot: string;
  readonly broadcast: boolean;
  /** The group that it is a member of. */
  readonly group_id?: string | null;
  readonly max_payload_bytes?: number | null;
  readonly source_type: string;
  readonly trigger_type: string;
  readonly workflow_run_id: string | null;
  readonly workflow_step_run_id: string | null;
  readonly job_run_id: string | null;
  readonly request_payload: string | null;
  /** JSON; null takes any payload. */
  readonly payload_schema: string | null;
  /** CEL; absent takes any payload. */
  readonly filter?: string | null;
  readonly timeout_secs: number | null;
  /** An absolute deadline; wins over `timeout_secs`. */
  readonly deadline: string | null;
  /** Seconds after the deadline for which an answer is still taken; absent means none. */
  readonly grace_secs?: number;
  readonly notify_url: string | null;
  readonly on_timeout: string | null;
  /** JSON; there is one where `on_timeout` is `resolve`. */
  readonly timeout_payload?: string | null;
  readonly on_cancel: string | null;
  readonly tags: string;
  readonly actor: string;
  readonly delivery_id: string;
  /** The buffered event that it takes at once; null opens a waiting one. */
  readonly event_id: string | null;
}

const newTriggerTypes = {
  project_id: "text",
  id: "text",
  environment_id: "text",
  event_key: "text",
  generation: "int4",
  slot: "text",
  broadcast: "bool",
  group_id: "text",
  max_payload_bytes: "int4",
  source_type: "text",
  trigger_type: "text",
  workflow_run_id: "text",
  workflow_step_run_id: "text",
  job_run_id: "text",
  request_payload: "json",
  payload_schema: "json",
  filter: "text",
  timeout_secs: "int4",
  deadline: "timestamptz",
  grace_secs: "int4",
  notify_url: "text",
  on_timeout: "text",
  timeout_payload: "text",
  on_cancel: "text",
  tags: "json",
  actor: "text",
  delivery_id: "text",
  event_id: "text",
} as const satisfies Record<keyof NewTrigger, string>;

/** Opens waits. The caller holds the rows of their keys, and has made sure that nobody waits on them. */
export function insert(db: Queryable, rows: readonly NewTrigger[]): Promise<EventTrigger[]> {
  return db.query<EventTrigger>(sql`
    WITH item AS (
      SELECT i.*, coalesce(i.deadline, strait_now() + make_interval(secs => i.timeout_secs)) AS expires_at,
        coalesce(i.grace_secs, 0) AS grace
      FROM ${records("i", newTriggerTypes, rows)}),
    taken AS (
      UPDATE events e SET disposition = 'delivered', trigger_id = i.id, generation = i.generation, expires_at = NULL
      FROM item i WHERE i.event_id IS NOT NULL AND e.project_id = i.project_id AND e.environment_id = i.environment_id
        AND e.event_key = i.event_key AND e.id = i.event_id
        AND e.disposition || '' = 'buffered' -- by the primary key: a plan from an empty table would read all that is buffered
      RETURNING e.id, e.payload, e.actor),
    opened AS (
      INSERT INTO event_triggers AS t (project_id, id, environment_id, event_key, generation, slot, broadcast, group_id, max_payload_bytes,
        source_type, trigger_type, workflow_run_id, workflow_step_run_id, job_run_id, status, request_payload, response_payload, payload_schema,
        filter, timeout_secs, requested_at, received_at, finished_at, expires_at, grace_secs, closes_at, notify_url, notify_status, sent_by,
        on_timeout, timeout_payload, on_cancel, tags)
      SELECT i.project_id, i.id, i.environment_id, i.event_key, i.generation, i.slot, i.broadcast, i.group_id, i.max_payload_bytes,
        i.source_type, i.trigger_type, i.workflow_run_id, i.workflow_step_run_id, i.job_run_id, CASE WHEN e.id IS NULL THEN 'waiting' ELSE 'received' END,
        i.request_payload, e.payload, i.payload_schema, i.filter, i.timeout_secs, strait_now(),
        CASE WHEN e.id IS NOT NULL THEN strait_now() END, CASE WHEN e.id IS NOT NULL THEN strait_now() END,
        i.expires_at, i.grace, ${closesAt(sql`i.expires_at`, sql`i.grace`)},
        i.notify_url, CASE WHEN i.notify_url IS NOT NULL THEN 'pending' END, e.actor, i.on_timeout, i.timeout_payload, i.on_cancel, i.tags
      FROM item i LEFT JOIN taken e ON e.id = i.event_id
      RETURNING t.*),
    delivery AS (
      INSERT INTO webhook_deliveries (${deliveryColumns})
      SELECT ${deliveryOf(sql`i.delivery_id`)} FROM opened t JOIN item i ON i.id = t.id WHERE t.notify_url IS NOT NULL),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id)
      SELECT t.project_id, t.id, 1, 'status', t.status, i.actor, t.workflow_run_id FROM opened t JOIN item i ON i.id = t.id)
    SELECT ${columns} FROM opened t`);
}

export interface NewDeadline {
  readonly project_id: string;
  readonly id: string;
  /** Seconds from now; null, without a `deadline`, for none. */
  readonly timeout_secs: number | null;
  /** As a time; wins over `timeout_secs`. */
  readonly deadline: string | null;
  readonly actor: string;
}

/** Gives a trigger another deadline, whose row is locked. Undefined: it does not wait any more. */
export async function changeDeadline(tx: Queryable, change: NewDeadline): Promise<EventTrigger | undefined> {
  const { project_id, id, timeout_secs, deadline, actor } = change;
  const [trigger] = await tx.query<EventTrigger>(sql`
    WITH due AS (
      SELECT expires_at AS before, coalesce(${deadline}::timestamptz, strait_now() + make_interval(secs => ${timeout_secs}::int4))
        AS after
      FROM event_triggers WHERE project_id = ${project_id} AND id = ${id}),
    changed AS (
      UPDATE event_triggers t SET expires_at = due.after, closes_at = ${closesAt(sql`due.after`, sql`t.grace_secs`)},
        version = t.version + 1, change_seq = t.change_seq + 1
      FROM due WHERE t.project_id = ${project_id} AND t.id = ${id} AND t.status = 'waiting'
      RETURNING t.*, due.before),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, data)
      SELECT project_id, id, change_seq, 'deadline', status, status, ${actor}, workflow_run_id,
        json_build_object('from', to_char(before, ${RFC_3339}), 'to', to_char(expires_at, ${RFC_3339}), 'version', version)
      FROM changed)
    SELECT ${columns} FROM changed t`);
  return trigger;
}

/** The trigger, and the number of its last change, from one statement. */
export async function findNumbered(
  db: Queryable,
  projectId: string,
  id: string,
): Promise<{ row: EventTrigger; sequence: number } | undefined> {
  const [numbered] = await db.query<EventTrigger & { change_seq: number }>(sql`
    SELECT ${columns}, t.change_seq FROM event_triggers t WHERE t.project_id = ${projectId} AND t.id = ${id}`);
  if (!numbered) return undefined;
  const { change_seq, ...row } = numbered;
  return { row, sequence: change_seq };
}

export interface KeyState extends EventTrigger {
  /** Whether the deadline and its grace have passed, by the database's clock, of a trigger that still waits. */
  readonly overdue: boolean;
}

/**
 * Locks triggers that still wait, in the order of their ids, so that two callers cannot deadlock. The group of a member is
 * locked with it, and before it: its id is smaller.
 */
export async function lockAll(tx: Queryable, projectId: string, ids: readonly string[]): Promise<void> {
  await tx.query(sql`
    WITH w AS MATERIALIZED (
      SELECT DISTINCT m.id FROM event_triggers t CROSS JOIN LATERAL unnest(ARRAY[t.id, t.group_id]) AS m (id)
      WHERE t.project_id = ${projectId} AND t.id = ANY(${ids}) AND m.id IS NOT NULL ORDER BY m.id)
    SELECT l.id FROM w CROSS JOIN LATERAL (
      SELECT t.id FROM event_triggers t WHERE t.project_id = ${projectId} AND t.id = w.id AND t.status = 'waiting'
      FOR NO KEY UPDATE) l`);
}

/** How triggers stand. Read in a statement after the locks, so that the deadline is decided now. */
export function statesOf(tx: Queryable, projectId: string, ids: readonly string[]): Promise<KeyState[]> {
  return tx.query<KeyState>(sql`
    SELECT ${columns}, t.status = 'waiting' AND coalesce(t.closes_at <= strait_now(), false) AS overdue
    FROM event_triggers t WHERE t.project_id = ${projectId} AND t.id = ANY(${ids})`);
}

/** What depends on the answer of a wait besides itself. */
export interface Sharing {
  readonly id: string;
  /** Whether others share its key. */
  readonly is_joined: boolean;
  /** The group whose member it is. */
  readonly group_id: string | null;
}

/** Of waits that are locked, those whose answer others depend on. */
export function sharedAmong(tx: Queryable, projectId: string, ids: readonly string[]): Promise<Sharing[]> {
  return tx.query<Sharing>(sql`
    SELECT t.id, t.slot <> '' AS is_joined, t.group_id FROM event_triggers t
    WHERE t.project_id = ${projectId} AND t.id = ANY(${ids}) AND t.status = 'waiting' AND (t.slot <> '' OR t.group_id IS NOT NULL)`);
}

export interface DueTrigger {
  readonly project_id: string;
  readonly id: string;
  readonly trigger_type: string;
  readonly job_run_id: string | null;
  readonly workflow_run_id: string | null;
  readonly slept_secs: number;
  readonly now: string;
}

/** Triggers whose time has come, in the order of their deadlines; not locked. Members end with their groups. */
export function due(db: Queryable, limit: number): Promise<DueTrigger[]> {
  return db.query<DueTrigger>(sql`
    SELECT project_id, id, trigger_type, job_run_id, workflow_run_id,
      extract(epoch FROM strait_now() - requested_at)::float8 AS slept_secs, strait_now() AS now
    FROM event_triggers WHERE status = 'waiting' AND closes_at <= strait_now() AND group_id IS NULL
    ORDER BY closes_at LIMIT ${limit}`);
}

/** Milliseconds until the next one's time has come, at most `horizonMs`; negative when one has passed. */
export async function msUntilDue(db: Queryable, horizonMs: number): Promise<number> {
  const [row] = await db.query<{ ms: number | null }>(sql`
    SELECT (extract(epoch FROM min(closes_at) - strait_now()) * 1000)::float8 AS ms FROM event_triggers
    WHERE status = 'waiting' AND closes_at <= strait_now() + make_interval(secs => ${horizonMs / 1000}::float8)
      AND group_id IS NULL`);
  return row?.ms ?? horizonMs;
}

/** What still waits for the given run or workflow run: to be closed with it. */
export function waitingOf(
  db: Queryable,
  projectId: string,
  owner: { readonly job_run_id: string } | { readonly workflow_run_id: string },
): Promise<{ id: string }[]> {
  return "job_run_id" in owner
    ? db.query(sql`SELECT id FROM event_triggers WHERE project_id = ${projectId} AND job_run_id = ${owner.job_run_id}
        AND status = 'waiting' ORDER BY id FOR NO KEY UPDATE`)
    : db.query(sql`SELECT id FROM event_triggers WHERE project_id = ${projectId}
        AND workflow_run_id = ${owner.workflow_run_id} AND status = 'waiting' ORDER BY id FOR NO KEY UPDATE`);
}
