import type { EventTrigger } from "@strait/contract";
import { runMoves, stepMoves, type TriggerMove, triggerMoves } from "@strait/core";
import { resumeReasons } from "../domain/wait-effect.ts";
import { largeCheckpoints, savesCheckpoint } from "./run-moves.ts";
import { type ClaimedRun, claimedJoin, resumedColumns } from "./runs.ts";
import { type Queryable, records, type Statement, sql } from "./sql.ts";
import { columns, deliveryColumns, deliveryOf } from "./triggers.ts";

/** One end for one trigger. */
export interface Settlement {
  readonly project_id: string;
  readonly id: string;
  /** JSON: as the text that was sent, or the cancellation; null for a timeout. */
  readonly payload: string | null;
  readonly actor: string;
  readonly channel: string | null;
  /** Its event's id, to be recorded: null without one (a timeout), or where another wait or the caller (a rejection) records it. */
  readonly event_id: string | null;
  readonly idempotency_key: string | null;
  /** For the delivery to `notify_url`, where there is one. */
  readonly delivery_id: string;
  readonly error: string | null;
  /** Whether the trigger's deadline and its grace must have passed (true) or must not (false). */
  readonly due: boolean;
  /** The lease on which a waiting run may go on at once; null sends it through the queue. */
  readonly lease_id: number | null;
}

export const settlementTypes = {
  project_id: "text",
  id: "text",
  payload: "text",
  actor: "text",
  channel: "text",
  event_id: "text",
  idempotency_key: "text",
  delivery_id: "text",
  error: "text",
  due: "bool",
  lease_id: "int8",
} as const satisfies Record<keyof Settlement, string>;

export interface SettledTrigger extends EventTrigger {
  /** The run that goes on in this process, where a lease was given and the run was free. */
  readonly claimed: ClaimedRun | null;
  /** Whether the run that waited is still to be moved: a wake row stands for it. */
  readonly owner_pending: boolean;
  /** Room for what the sender is told: a member that is added to a row later costs as much as all that are there. */
  readonly disposition: null;
}

/**
 * Ends waits: the one way in which a trigger's status changes, with two shorter forms for what most sends and most prefixes
 * meet (`settleFree`, `settleQueued`). The trigger, the run or step that waited, the event, the webhook to send and the
 * change rows (one for a wait and the run that goes on with it) are one statement, so either all of it is there after a
 * kill or nothing.
 *
 * Locks go downward, so a run above is only tried (K2): where somebody holds it, or where it is to end rather than to go
 * on, the appended wake row stands for it (K3). Triggers that somebody holds are skipped, and nothing blocks; but
 * `settleQueued` waits for a moment.
 */
export function settle(db: Queryable, name: TriggerMove, items: readonly Settlement[]): Promise<SettledTrigger[]> {
  return settleById(db, name, items, ANY_WAIT);
}

/** The same for waits that nobody shares: those that others have joined are left alone, since they are answered together. */
export function settleAlone(db: Queryable, name: TriggerMove, items: readonly Settlement[]): Promise<SettledTrigger[]> {
  return settleById(db, name, items, LONE_WAIT);
}

const ANY_WAIT = sql``;
const LONE_WAIT = sql`AND t.slot = '' AND t.group_id IS NULL`;

function settleById(
  db: Queryable,
  name: TriggerMove,
  items: readonly Settlement[],
  which: Statement,
): Promise<SettledTrigger[]> {
  return settleTargets(
    db,
    name,
    leaseOf(items),
    sql`
    SELECT t.id AS trigger_id, i.* FROM ${records("i", settlementTypes, items)}
    CROSS JOIN LATERAL (
      SELECT t.id FROM event_triggers t
      WHERE t.project_id = i.project_id AND t.id = i.id AND t.status = ANY(${triggerMoves[name].from})
        AND i.due = coalesce(t.closes_at <= strait_now(), false) ${which}
      FOR NO KEY UPDATE SKIP LOCKED) t`,
  );
}

/** Those of one statement go on on one lease. */
export function leaseOf(items: readonly { readonly lease_id: number | null }[]): number | null {
  return items.find((item) => item.lease_id !== null)?.lease_id ?? null;
}

/** As the statement answers: the runs that go on here all stand on one of the rows, not once per row. */
interface SettledRow extends Omit<SettledTrigger, "claimed"> {
  readonly claimed: readonly (ClaimedRun & { readonly trigger_id: string })[] | null;
}

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

export async function settleTargets(
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
        notify_status = CASE WHEN t.notify_url IS NOT NULL THEN 'pending' END, change_seq = t.change_seq + 1,
        event_id = CASE WHEN t.group_id IS NULL THEN g.event_id END, channel = g.channel, idempotency_key = g.idempotency_key
      FROM target g
      WHERE t.project_id = g.project_id AND t.id = g.trigger_id AND t.status = ANY(${from})
      RETURNING t.*, g.actor, CASE WHEN t.group_id IS NOT NULL THEN g.event_id END AS recorded_id, g.delivery_id, g.lease_id,
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
        error = CASE WHEN NOT s.completes THEN s.error END, cancellation = s.cancellation,
        emit_due = CASE WHEN s.completes AND p.event_emit_key IS NOT NULL THEN true END
      FROM settled s
      WHERE s.workflow_step_run_id IS NOT NULL AND p.project_id = s.project_id AND p.id = s.workflow_step_run_id
        AND p.workflow_run_id = s.workflow_run_id
        AND p.status = ANY(CASE WHEN s.completes THEN ${stepMoves.complete.from}::text[] ELSE ${stepMoves.fail.from}::text[] END)
      RETURNING p.*, s.actor),
    advance AS (
      INSERT INTO workflow_advances (project_id, workflow_run_id) SELECT project_id, workflow_run_id FROM step),
    event AS (
      INSERT INTO events (project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload, actor,
        channel, idempotency_key)
      SELECT project_id, recorded_id, environment_id, event_key, id, generation, 'recorded', payload, actor, channel,
        idempotency_key
      FROM settled WHERE recorded_id IS NOT NULL),
    delivery AS (
      INSERT INTO webhook_deliveries (${deliveryColumns})
      SELECT ${deliveryOf(sql`t.delivery_id`)} FROM settled t WHERE t.notify_url IS NOT NULL),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, message, ended_trigger_id)
      SELECT project_id, id, change_seq, 'status', 'waiting', status, actor, workflow_run_id, error, NULL FROM settled
      WHERE id NOT IN (SELECT trigger_id FROM moved)
      UNION ALL
      SELECT project_id, id, change_seq, 'status', 'waiting', status, actor, workflow_run_id, NULL, trigger_id FROM moved
      UNION ALL
      SELECT project_id, id, change_seq, 'status', 'waiting', status, actor, workflow_run_id, error, NULL FROM step)
    SELECT ${columns}, t.id IN (SELECT trigger_id FROM wake) AS owner_pending, NULL AS disposition,
      CASE WHEN t.id = (SELECT min(id) FROM settled) THEN (
        SELECT json_agg(c) FROM (
          SELECT r.trigger_id, ${resumedColumns} FROM moved r ${claimedJoin} WHERE r.lease IS NOT NULL) c) END AS claimed
    FROM settled t`);
  const claimed = new Map(rows.flatMap((row) => row.claimed ?? []).map((run) => [run.trigger_id, run]));
  return rows.map((row) => Object.assign(row, { claimed: claimed.get(row.id) ?? null }));
}

/** Applies `name` to one trigger, and to nothing that hangs on it: what proves the table against the database. */
export async function move(db: Queryable, projectId: string, id: string, name: TriggerMove): Promise<boolean> {
  const settled = await settle(db, name, [
    {
      project_id: projectId,
      id,
      payload: name === "receive" ? "null" : null,
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
