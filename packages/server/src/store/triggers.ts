import type { EventTrigger, ResumeReason } from "@strait/contract";
import { runMoves, stepMoves, type TriggerMove, triggerMoves } from "@strait/core";
import { type ClaimedRun, claimedJoin, largeCheckpoints, resumedColumns, savesCheckpoint } from "./runs.ts";
import { type Queryable, records, type Statement, sql } from "./sql.ts";

/** A trigger as the wire has it, from the row `t`. */
export const columns = sql`
  t.id, t.event_key, t.generation, t.broadcast, t.project_id, t.environment_id, t.source_type, t.trigger_type, t.workflow_run_id,
  t.workflow_step_run_id, t.job_run_id, t.status, t.request_payload, t.response_payload::json AS response_payload,
  t.timeout_secs, t.requested_at, t.received_at, t.finished_at, t.expires_at, t.version, t.error, t.cancellation,
  t.notify_url, t.notify_status, t.sent_by, t.payload_schema, t.filter, t.on_timeout,
  t.timeout_payload::json AS timeout_payload, t.on_cancel, t.tags, t.group_id`;

/** One end for one trigger. */
export interface Settlement {
  readonly project_id: string;
  readonly id: string;
  /** JSON: as the text that was sent, or the cancellation; null for a timeout. */
  readonly payload: string | null;
  /** Digest of the payload, for the event's row. */
  readonly payload_digest: string | null;
  readonly actor: string;
  readonly channel: string | null;
  /** Its event's id, to be recorded: null without one (a timeout), or where another wait records it, which it ends too. */
  readonly event_id: string | null;
  readonly idempotency_key: string | null;
  /** For the delivery to `notify_url`, where there is one. */
  readonly delivery_id: string;
  readonly error: string | null;
  /** Whether the trigger's deadline must have passed (true) or must not (false). */
  readonly due: boolean;
  /** The lease on which a waiting run may go on at once; null sends it through the queue. */
  readonly lease_id: number | null;
}

const settlementTypes = {
  project_id: "text",
  id: "text",
  payload: "text",
  payload_digest: "text",
  actor: "text",
  channel: "text",
  event_id: "text",
  idempotency_key: "text",
  delivery_id: "text",
  error: "text",
  due: "bool",
  lease_id: "int8",
} as const satisfies Record<keyof Settlement, string>;

/** One send: a settlement whose trigger is found by its key. */
export interface KeySettlement extends Omit<Settlement, "id" | "due"> {
  readonly environment_id: string;
  readonly event_key: string;
  readonly generation: number | null;
  readonly trigger_id: string | null;
}

const { id: _id, due: _due, ...sendTypes } = settlementTypes;
const keySettlementTypes = {
  ...sendTypes,
  environment_id: "text",
  event_key: "text",
  generation: "int4",
  trigger_id: "text",
} as const satisfies Record<keyof KeySettlement, string>;

export interface SettledTrigger extends EventTrigger {
  /** The run that goes on in this process, where a lease was given and the run was free. */
  readonly claimed: ClaimedRun | null;
  /** Whether the run that waited is still to be moved: a wake row stands for it. */
  readonly owner_pending: boolean;
  /** Room for what the sender is told: a member that is added to a row later costs as much as all that are there. */
  readonly disposition: null;
}

/**
 * Ends waits: the one way in which a trigger's status changes. The trigger, the run or step that waited, the event, the
 * webhook to send and the change rows are one statement, so either all of it is there after a kill or nothing.
 *
 * Locks go downward, so a run above is only tried (K2): where somebody holds it, or where it is to end rather than to go
 * on, the appended wake row stands for it (K3). Triggers that somebody holds are skipped, and nothing here ever blocks.
 */
export function settle(db: Queryable, name: TriggerMove, items: readonly Settlement[]): Promise<SettledTrigger[]> {
  return settleTargets(
    db,
    name,
    leaseOf(items),
    sql`
    SELECT t.id AS trigger_id, i.* FROM ${records("i", settlementTypes, items)}
    CROSS JOIN LATERAL (
      SELECT t.id FROM event_triggers t
      WHERE t.project_id = i.project_id AND t.id = i.id AND t.status = ANY(${triggerMoves[name].from})
        AND i.due = coalesce(t.expires_at <= strait_now(), false)
      FOR NO KEY UPDATE SKIP LOCKED) t`,
  );
}

/**
 * Delivers events to the triggers that wait for their keys (K4: the first try of a send). Items that meet no clean hit
 * are missing from the answer; the caller takes the key rows and looks again.
 */
export function settleByKey(db: Queryable, items: readonly KeySettlement[]): Promise<SettledTrigger[]> {
  return settleTargets(
    db,
    "receive",
    leaseOf(items),
    sql`
    SELECT t.id AS trigger_id, i.*, false AS due FROM (
      SELECT project_id, environment_id, event_key, generation, trigger_id AS wanted_id, payload, payload_digest, actor,
        channel, event_id, idempotency_key, delivery_id, error, lease_id
      FROM ${records("i", keySettlementTypes, items)}) i
    CROSS JOIN LATERAL (
      SELECT t.id FROM event_triggers t
      WHERE t.project_id = i.project_id AND t.environment_id = i.environment_id AND t.event_key = i.event_key
        AND t.slot = '' AND t.status = 'waiting' AND t.trigger_type = 'event'
        AND (t.expires_at IS NULL OR t.expires_at > strait_now())
        AND t.payload_schema IS NULL AND t.filter IS NULL AND t.group_id IS NULL
        AND t.generation = coalesce(i.generation, t.generation) AND t.id = coalesce(i.wanted_id, t.id)
      FOR NO KEY UPDATE SKIP LOCKED) t`,
  );
}

function leaseOf(items: readonly { readonly lease_id: number | null }[]): number | null {
  return items.find((item) => item.lease_id !== null)?.lease_id ?? null;
}

/** As the statement answers: the runs that go on here all stand on one of the rows, not once per row. */
interface SettledRow extends Omit<SettledTrigger, "claimed"> {
  readonly claimed: readonly (ClaimedRun & { readonly trigger_id: string })[] | null;
}

/** What a run is told that goes on after its wait has ended so. Why it was canceled is in the cancellation. */
export const resumeReasons = {
  receive: "event",
  timeOut: "timeout",
  cancel: "canceled",
  reject: "rejected",
  supersede: "canceled",
} as const satisfies Record<TriggerMove, ResumeReason>;

/** What a move writes, when the run that waited goes on, and when the step has succeeded: `t` is the trigger, `g` the settlement. */
function effectsOf(name: TriggerMove): {
  readonly answer: Statement;
  readonly resumes: Statement;
  readonly completes: Statement;
} {
  if (name === "receive") {
    const answer = sql`received_at = strait_now(), response_payload = g.payload`;
    return { answer, resumes: sql`true`, completes: sql`true` };
  }
  if (name === "timeOut") {
    const completes = sql`t.on_timeout IS NOT DISTINCT FROM 'resolve'`;
    return {
      answer: sql`response_payload = coalesce(g.payload, t.timeout_payload)`,
      resumes: sql`t.on_timeout IN ('resume', 'resolve')`,
      completes,
    };
  }
  return { answer: sql`cancellation = g.payload::json`, resumes: sql`t.on_cancel = 'resume'`, completes: sql`false` };
}

async function settleTargets(
  db: Queryable,
  name: TriggerMove,
  leaseId: number | null,
  targets: Statement,
): Promise<SettledTrigger[]> {
  const { from, to } = triggerMoves[name];
  const { answer, resumes, completes } = effectsOf(name);
  const rows = await db.query<SettledRow>(sql`
    WITH lease AS (SELECT id FROM leases WHERE id = ${leaseId} AND alive FOR KEY SHARE),
    target AS (${targets}),
    settled AS (
      UPDATE event_triggers t SET status = ${to}, finished_at = strait_now(),
        ${answer}, sent_by = CASE WHEN g.channel IS NOT NULL THEN g.actor END, error = g.error,
        notify_status = CASE WHEN t.notify_url IS NOT NULL THEN 'pending' END, change_seq = t.change_seq + 1
      FROM target g
      WHERE t.project_id = g.project_id AND t.id = g.trigger_id AND t.status = ANY(${from})
      RETURNING t.*, g.payload_digest, g.actor, g.channel, g.event_id, g.idempotency_key, g.delivery_id, g.lease_id,
        g.payload, CASE WHEN ${resumes} THEN ${resumeReasons[name]}::text END AS resume_reason,
        ${completes} AS completes),
    owner AS (
      SELECT r.project_id, r.id AS run_id, s.id AS trigger_id, coalesce(s.payload, s.response_payload) AS checkpoint,
        'event_trigger'::text AS checkpoint_source, s.resume_reason, s.lease_id, s.actor
      FROM settled s JOIN runs r ON r.project_id = s.project_id AND r.id = s.job_run_id
      WHERE s.resume_reason IS NOT NULL AND s.group_id IS NULL AND r.status = ANY(${runMoves.resume.from})
      ORDER BY r.project_id, r.id FOR NO KEY UPDATE OF r SKIP LOCKED),
    moved AS (
      UPDATE runs r SET ${savesCheckpoint} resume_reason = i.resume_reason, detached = false,
        status = CASE WHEN i.lease IS NOT NULL THEN ${runMoves.resumeNow.to} ELSE ${runMoves.resume.to} END,
        lease_id = coalesce(i.lease, r.lease_id), dispatch_seq = r.dispatch_seq + (i.lease IS NOT NULL)::int,
        started_at = CASE WHEN i.lease IS NOT NULL THEN strait_now() END, heartbeat_at = NULL, change_seq = r.change_seq + 1
      FROM (SELECT o.*, lease.id AS lease FROM owner o LEFT JOIN lease ON lease.id = o.lease_id) i
      WHERE r.project_id = i.project_id AND r.id = i.run_id AND r.status = ANY(${runMoves.resume.from})
      RETURNING r.*, i.checkpoint AS given_checkpoint, i.trigger_id, i.lease, i.actor),
    saved AS (${largeCheckpoints}),
    queue AS (
      INSERT INTO run_queue (project_id, priority, ready_at, run_id)
      SELECT project_id, priority, strait_now(), id FROM moved WHERE lease IS NULL),
    wake AS (
      INSERT INTO run_wakes (project_id, run_id, trigger_id)
      SELECT s.project_id, s.job_run_id, s.id FROM settled s
      WHERE s.job_run_id IS NOT NULL AND s.group_id IS NULL AND s.id NOT IN (SELECT trigger_id FROM moved)
      RETURNING trigger_id),
    step AS (
      UPDATE step_runs p SET finished_at = strait_now(), change_seq = p.change_seq + 1, timed_out = ${to === "timed_out"},
        status = CASE WHEN s.completes THEN ${stepMoves.complete.to} ELSE ${stepMoves.fail.to} END,
        output = CASE WHEN s.completes THEN coalesce(s.response_payload, 'null') END,
        error = CASE WHEN NOT s.completes THEN s.error END,
        emit_due = CASE WHEN s.completes AND p.event_emit_key IS NOT NULL THEN true END
      FROM settled s
      WHERE s.workflow_step_run_id IS NOT NULL AND p.project_id = s.project_id AND p.id = s.workflow_step_run_id
        AND p.workflow_run_id = s.workflow_run_id
        AND p.status = ANY(CASE WHEN s.completes THEN ${stepMoves.complete.from}::text[] ELSE ${stepMoves.fail.from}::text[] END)
      RETURNING p.*, s.actor),
    advance AS (
      INSERT INTO workflow_advances (project_id, workflow_run_id) SELECT project_id, workflow_run_id FROM step),
    event AS (
      INSERT INTO events (project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload,
        payload_digest, actor, channel, idempotency_key, is_rejection)
      SELECT project_id, event_id, environment_id, event_key, id, generation,
        CASE WHEN group_id IS NULL OR ${name === "reject"} THEN 'delivered' ELSE 'recorded' END, payload, payload_digest, actor,
        channel, idempotency_key, ${name === "reject"}
      FROM settled WHERE event_id IS NOT NULL),
    delivery AS (
      INSERT INTO webhook_deliveries (${deliveryColumns})
      SELECT ${deliveryOf(sql`t.delivery_id`)} FROM settled t WHERE t.notify_url IS NOT NULL),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, message)
      SELECT project_id, id, change_seq, 'status', 'waiting', status, actor, workflow_run_id, error FROM settled
      UNION ALL
      SELECT project_id, id, change_seq, 'status', 'waiting', status, actor, workflow_run_id, NULL FROM moved
      UNION ALL
      SELECT project_id, id, change_seq, 'status', 'waiting', status, actor, workflow_run_id, error FROM step)
    SELECT ${columns}, t.id IN (SELECT trigger_id FROM wake) AS owner_pending, NULL AS disposition,
      CASE WHEN t.id = (SELECT min(id) FROM settled) THEN (
        SELECT json_agg(c) FROM (
          SELECT r.trigger_id, ${resumedColumns} FROM moved r ${claimedJoin} WHERE r.lease IS NOT NULL) c) END AS claimed
    FROM settled t`);
  const claimed = new Map(rows.flatMap((row) => row.claimed ?? []).map((run) => [run.trigger_id, run]));
  return rows.map((row) => Object.assign(row, { claimed: claimed.get(row.id) ?? null }));
}

/** For `to_char` of a time, in a session whose time zone is UTC. */
export const RFC_3339 = sql`'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;

const deliveryColumns = sql`
  id, project_id, event_trigger_id, event_type, run_id, job_id, webhook_url, payload, next_retry_at`;

/**
 * The delivery to `notify_url` that tells of the present status of `t`, a trigger's row. Its payload is stored as the bytes
 * that every attempt sends.
 */
const deliveryOf = (id: Statement): Statement => sql`
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
    WITH item AS (SELECT i.* FROM ${records("i", newTriggerTypes, rows)}),
    taken AS (
      UPDATE events e SET disposition = 'delivered', trigger_id = i.id, generation = i.generation, expires_at = NULL
      FROM item i WHERE i.event_id IS NOT NULL AND e.project_id = i.project_id AND e.id = i.event_id
        AND e.disposition || '' = 'buffered' -- by the primary key: a plan from an empty table would read all that is buffered
      RETURNING e.id, e.payload, e.actor),
    opened AS (
      INSERT INTO event_triggers AS t (project_id, id, environment_id, event_key, generation, slot, broadcast, group_id,
        source_type, trigger_type, workflow_run_id, workflow_step_run_id, job_run_id, status, request_payload, response_payload, payload_schema,
        filter, timeout_secs, requested_at, received_at, finished_at, expires_at, notify_url, notify_status, sent_by, on_timeout,
        timeout_payload, on_cancel, tags)
      SELECT i.project_id, i.id, i.environment_id, i.event_key, i.generation, i.slot, i.broadcast, i.group_id,
        i.source_type, i.trigger_type, i.workflow_run_id, i.workflow_step_run_id, i.job_run_id, CASE WHEN e.id IS NULL THEN 'waiting' ELSE 'received' END,
        i.request_payload, e.payload, i.payload_schema, i.filter, i.timeout_secs, strait_now(),
        CASE WHEN e.id IS NOT NULL THEN strait_now() END, CASE WHEN e.id IS NOT NULL THEN strait_now() END,
        coalesce(i.deadline, strait_now() + make_interval(secs => i.timeout_secs)),
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

/** Applies `name` to one trigger, and to nothing that hangs on it: what proves the table against the database. */
export async function move(db: Queryable, projectId: string, id: string, name: TriggerMove): Promise<boolean> {
  const settled = await settle(db, name, [
    {
      project_id: projectId,
      id,
      payload: name === "receive" ? "null" : null,
      payload_digest: null,
      actor: "system",
      channel: null,
      event_id: null,
      idempotency_key: null,
      delivery_id: id,
      error: null,
      due: false,
      lease_id: null,
    },
  ]);
  return settled.length > 0;
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

/** Gives a waiting trigger, whose row is locked, another deadline. Undefined: the time has passed already. */
export async function changeDeadline(tx: Queryable, change: NewDeadline): Promise<EventTrigger | undefined> {
  const { project_id, id, timeout_secs, deadline, actor } = change;
  const [trigger] = await tx.query<EventTrigger>(sql`
    WITH due AS (
      SELECT expires_at AS before, coalesce(${deadline}::timestamptz, strait_now() + make_interval(secs => ${timeout_secs}::int4))
        AS after
      FROM event_triggers WHERE project_id = ${project_id} AND id = ${id}),
    changed AS (
      UPDATE event_triggers t SET expires_at = due.after, version = t.version + 1, change_seq = t.change_seq + 1
      FROM due WHERE t.project_id = ${project_id} AND t.id = ${id} AND t.status = 'waiting'
        AND coalesce(due.after > strait_now(), true)
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
  /** Whether the deadline has passed, by the database's clock, of a trigger that still waits. */
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
    SELECT ${columns}, t.status = 'waiting' AND coalesce(t.expires_at <= strait_now(), false) AS overdue
    FROM event_triggers t WHERE t.project_id = ${projectId} AND t.id = ANY(${ids})`);
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
    FROM event_triggers WHERE status = 'waiting' AND expires_at <= strait_now() AND group_id IS NULL
    ORDER BY expires_at LIMIT ${limit}`);
}

/** Milliseconds until the next deadline, at most `horizonMs`; negative when one has passed. */
export async function msUntilDue(db: Queryable, horizonMs: number): Promise<number> {
  const [row] = await db.query<{ ms: number | null }>(sql`
    SELECT (extract(epoch FROM min(expires_at) - strait_now()) * 1000)::float8 AS ms FROM event_triggers
    WHERE status = 'waiting' AND expires_at <= strait_now() + make_interval(secs => ${horizonMs / 1000}::float8)
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
