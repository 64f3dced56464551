import { runMoves, triggerMoves } from "@strait/core";
import { resumeReasons } from "../domain/wait-effect.ts";
import { isInline, savesCheckpoint } from "./run-moves.ts";
import type { SettledTrigger } from "./settlements.ts";
import { type Queryable, records, sql } from "./sql.ts";
import { columns } from "./triggers.ts";

/** What all members of a prefix send are told. */
export interface PrefixEvent {
  readonly project_id: string;
  /** JSON text. */
  readonly payload: string;
  readonly payload_digest: string;
  readonly actor: string;
  readonly channel: string;
  readonly idempotency_key: string | null;
}

export interface PrefixMember {
  /** Of the trigger. */
  readonly id: string;
  readonly event_id: string;
}

/**
 * Does what `settleAlone` does, for the waits that most prefixes have: those of runs that are free and go on through the
 * queue, and tell nobody else. Others stay as they are. The updates find their rows by key, though their places are known
 * from the locks: a row that somebody changed meanwhile has another place than the one that this statement may see.
 */
export async function settleQueued(
  db: Queryable,
  event: PrefixEvent,
  members: readonly PrefixMember[],
): Promise<SettledTrigger[]> {
  if (members.length === 0 || !isInline(event.payload)) return [];
  const { project_id, payload, payload_digest, actor, channel, idempotency_key } = event;
  const trigger = triggerMoves.receive;
  const run = runMoves.resume;
  return db.query(sql`
    WITH found AS (
      SELECT t.id AS trigger_id, t.job_run_id, i.event_id
      FROM ${records("i", { id: "text", event_id: "text" }, members)}
      CROSS JOIN LATERAL (
        SELECT t.id, t.job_run_id FROM event_triggers t
        WHERE t.project_id = ${project_id} AND t.id = i.id AND t.status = ANY(${trigger.from})
          AND (t.closes_at IS NULL OR t.closes_at > strait_now()) AND t.slot = '' AND t.group_id IS NULL
          AND t.job_run_id IS NOT NULL AND t.notify_url IS NULL
        FOR NO KEY UPDATE SKIP LOCKED) t),
    owner AS (
      SELECT f.*, ${payload}::text AS checkpoint, 'event_trigger'::text AS checkpoint_source
      FROM found f CROSS JOIN LATERAL (
        SELECT FROM runs r WHERE r.project_id = ${project_id} AND r.id = f.job_run_id AND r.status = ANY(${run.from})
        FOR NO KEY UPDATE SKIP LOCKED) r),
    moved AS (
      UPDATE runs r SET ${savesCheckpoint} resume_reason = ${resumeReasons.receive}, detached = false, status = ${run.to},
        heartbeat_at = NULL, started_at = NULL, change_seq = r.change_seq + 1
      FROM owner i WHERE r.project_id = ${project_id} AND r.id = i.job_run_id AND r.status = ANY(${run.from})
      RETURNING r.id, r.priority, r.change_seq, r.workflow_run_id, i.trigger_id, i.event_id),
    queue AS (
      INSERT INTO run_queue (project_id, priority, ready_at, run_id)
      SELECT ${project_id}, priority, strait_now(), id FROM moved),
    settled AS (
      UPDATE event_triggers t SET status = ${trigger.to}, finished_at = strait_now(), received_at = strait_now(),
        response_payload = ${payload}, sent_by = ${actor}, change_seq = t.change_seq + 1
      FROM moved g
      WHERE t.project_id = ${project_id} AND t.id = g.trigger_id AND t.status = ANY(${trigger.from})
      RETURNING t.*, g.event_id),
    event AS (
      INSERT INTO events (project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload,
        payload_digest, actor, channel, idempotency_key)
      SELECT ${project_id}, event_id, environment_id, event_key, id, generation, 'delivered', ${payload}, ${payload_digest},
        ${actor}, ${channel}, ${idempotency_key}
      FROM settled),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id)
      SELECT ${project_id}, id, change_seq, 'status', 'waiting', ${trigger.to}, ${actor}, workflow_run_id FROM settled
      UNION ALL
      SELECT ${project_id}, id, change_seq, 'status', 'waiting', ${run.to}, ${actor}, workflow_run_id FROM moved)
    SELECT ${columns}, NULL AS claimed, false AS owner_pending, NULL AS disposition FROM settled t`);
}
