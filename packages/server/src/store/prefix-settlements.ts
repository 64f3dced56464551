import { runMoves, triggerMoves } from "@strait/core";
import { resumeReasons } from "../domain/wait-effect.ts";
import { isTransient, type Transaction } from "./database.ts";
import { isInline, savesCheckpoint } from "./run-moves.ts";
import type { SettledTrigger } from "./settlements.ts";
import { records, sql } from "./sql.ts";
import { nothingBeside, type WaitingTrigger } from "./trigger-sets.ts";

/** What all members of a prefix send are told. */
export interface PrefixEvent {
  readonly project_id: string;
  /** JSON text. */
  readonly payload: string;
  readonly actor: string;
  readonly channel: string;
  readonly idempotency_key: string | null;
}

export interface PrefixMember {
  /** As it was found. */
  readonly wait: WaitingTrigger;
  readonly event_id: string;
}

/** What the statement runs and is planned with. */
const SETTINGS = [
  // How long a lock is waited for: nearly all are free, and who holds one may wait for one of ours.
  { name: "lock_timeout", value: "50ms" },
  // Rows whose ids are neighbors are found by one walk along the index (`= ANY`, from PostgreSQL 17 on), and matched by a
  // hash: a tenth less than to come down from the root for each, as the nested loops do that a connection is set to.
  { name: "enable_nestloop", value: "off" },
  { name: "enable_hashjoin", value: "on" },
];
const settingTypes = { name: "text", value: "text" } as const;

/**
 * Does what `settleAlone` does, for the waits that most prefixes have: those of runs that are free and go on through the
 * queue, and tell nobody else. Others stay as they are.
 *
 * To look whether rows are free costs as much as to change them. So this changes them, and where one is held, or a run turns
 * out not to wait, takes everything back: then all are left to the statement for each. It is the one place that waits, for
 * a moment, for a run while it holds a wait (K2).
 *
 * @returns What is settled; undefined when everything was taken back.
 */
export async function settleQueued(
  tx: Transaction,
  event: PrefixEvent,
  members: readonly PrefixMember[],
): Promise<SettledTrigger[] | undefined> {
  if (members.length === 0 || !isInline(event.payload)) return [];
  await tx.query(sql`SAVEPOINT before_queued`);
  const before = await tx.query<{ name: string; value: string }>(sql`
    SELECT name, current_setting(name) AS value, set_config(name, value, true) AS set
    FROM ${records("i", settingTypes, SETTINGS)}`);
  let settled: Settled | undefined;
  try {
    settled = await settleAndQueue(tx, event, members);
  } catch (error) {
    if (!isTransient(error)) throw error;
  }
  if (settled) await tx.query(sql`SELECT set_config(name, value, true) FROM ${records("i", settingTypes, before)}`);
  else await tx.query(sql`ROLLBACK TO before_queued`);
  await tx.query(sql`RELEASE before_queued`);
  return settled && toTriggers(event, members, settled);
}

interface Settled {
  readonly ids: readonly string[];
  /** One time for all. */
  readonly received_at: string;
}

/** The waits as they are now. They are not read again: what they were is known, and what they became. */
function toTriggers(
  { payload, actor }: PrefixEvent,
  members: readonly PrefixMember[],
  { ids, received_at }: Settled,
): SettledTrigger[] {
  const ended = new Set(ids);
  const answer = {
    status: triggerMoves.receive.to,
    received_at,
    finished_at: received_at,
    response_payload: JSON.parse(payload) as unknown,
    sent_by: actor,
  };
  const ofSettled = { claimed: null, owner_pending: false, disposition: null };
  return members.flatMap(({ wait }) =>
    ended.has(wait.id) ? [{ ...wait, ...answer, ...ofSettled, ...nothingBeside }] : [],
  );
}

/**
 * Ends the waits that are as they were found, and moves their runs. Where it ends none, or moves fewer, it answers with
 * nothing, and is to be taken back.
 */
async function settleAndQueue(
  tx: Transaction,
  { project_id, payload, actor, channel, idempotency_key }: PrefixEvent,
  members: readonly PrefixMember[],
): Promise<Settled | undefined> {
  const found = members.map(({ wait: { id, version }, event_id }) => ({ id, version, event_id }));
  const ids = found.map(({ id }) => id);
  const trigger = triggerMoves.receive;
  const run = runMoves.resume;
  const [settled] = await tx.query<Settled>(sql`
    WITH settled AS (
      UPDATE event_triggers t SET status = ${trigger.to}, finished_at = strait_now(), received_at = strait_now(),
        response_payload = ${payload}, sent_by = ${actor}, event_id = i.event_id, channel = ${channel},
        idempotency_key = ${idempotency_key}, change_seq = t.change_seq + 1
      FROM ${records("i", { id: "text", version: "int4", event_id: "text" }, found)}
      WHERE t.project_id = ${project_id} AND t.id = ANY(${ids}) AND t.id = i.id AND t.version = i.version
        AND t.status = ANY(${trigger.from}) AND (t.closes_at IS NULL OR t.closes_at > strait_now())
        AND t.slot = '' AND t.group_id IS NULL AND t.job_run_id IS NOT NULL AND t.notify_url IS NULL
      RETURNING t.id, t.job_run_id, t.received_at),
    moved AS (
      UPDATE runs r SET ${savesCheckpoint} resume_reason = ${resumeReasons.receive}, detached = false, status = ${run.to},
        heartbeat_at = NULL, started_at = NULL, change_seq = r.change_seq + 1
      FROM (
        SELECT id AS trigger_id, job_run_id, ${payload}::text AS checkpoint, 'event_trigger'::text AS checkpoint_source
        FROM settled) i
      WHERE r.project_id = ${project_id} AND r.id = ANY(ARRAY(SELECT job_run_id FROM settled)) AND r.id = i.job_run_id
        AND r.status = ANY(${run.from})
      RETURNING r.id, r.priority, r.change_seq, r.workflow_run_id, i.trigger_id),
    queue AS (
      INSERT INTO run_queue (project_id, priority, ready_at, run_id)
      SELECT ${project_id}, priority, strait_now(), id FROM moved),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, ended_trigger_id)
      SELECT ${project_id}, id, change_seq, 'status', 'waiting', ${run.to}, ${actor}, workflow_run_id, trigger_id FROM moved)
    SELECT array_agg(id) AS ids, min(received_at) AS received_at FROM settled
    HAVING count(*) > 0 AND count(*) = (SELECT count(*) FROM moved)`);
  return settled;
}
