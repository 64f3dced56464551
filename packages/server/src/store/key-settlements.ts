import { runMoves, triggerMoves } from "@strait/core";
import { resumeReasons } from "../domain/wait-effect.ts";
import { isInline, savesCheckpoint } from "./run-moves.ts";
import { inlineClaimedColumns } from "./runs.ts";
import { leaseOf, type SettledTrigger, type Settlement, settlementTypes, settleTargets } from "./settlements.ts";
import { type Queryable, records, type Statement, sql } from "./sql.ts";
import { columns } from "./triggers.ts";

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

/** What `settleOn` needs of it; most sends name neither generation nor trigger, and have no idempotency key. */
const freeTypes = {
  project_id: "text",
  environment_id: "text",
  event_key: "text",
  payload: "text",
  actor: "text",
  channel: "text",
  event_id: "text",
  generation: "int4?",
  trigger_id: "text?",
  idempotency_key: "text?",
} as const satisfies Partial<Record<keyof KeySettlement, string>>;

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
      SELECT project_id, environment_id, event_key, generation, trigger_id AS wanted_id, payload, actor, channel,
        event_id, idempotency_key, delivery_id, error, lease_id
      FROM ${records("i", keySettlementTypes, items)}) i
    CROSS JOIN LATERAL (SELECT t.id FROM event_triggers t WHERE ${isHit(sql`i.wanted_id`)} FOR NO KEY UPDATE SKIP LOCKED) t`,
  );
}

/**
 * Does what `settleByKey` does, for the waits that most sends meet: those of runs that are free and go on at once, have
 * all that they go on with in their rows, and tell nobody else. Other waits stay as they are. Every table that a statement
 * may write to costs as much as a row, so this one has none for steps, queues, wake rows, webhooks and long bodies.
 *
 * @returns What is settled, and the items that `settleByKey` may settle: none when nothing waits for any of the keys.
 */
export async function settleFree(
  db: Queryable,
  items: readonly KeySettlement[],
): Promise<{ readonly settled: readonly SettledTrigger[]; readonly rest: readonly KeySettlement[] }> {
  const lease = items[0]?.lease_id ?? null;
  const mayBeFree = items.every(({ lease_id, payload }) => lease_id === lease && isInline(payload ?? ""));
  if (lease === null || !mayBeFree) return { settled: [], rest: items };
  const rows = await settleOn(db, lease, items);
  const settled = rows.filter((row): row is SettledTrigger => row.id !== null);
  const keys = new Set(settled.map(keyOf));
  return { settled, rest: rows.length === 0 ? [] : items.filter((item) => !keys.has(keyOf(item))) };
}

const keyOf = ({
  project_id,
  environment_id,
  event_key,
}: Pick<KeySettlement, "project_id" | "environment_id" | "event_key">) =>
  `${project_id}\n${environment_id}\n${event_key}`;

/** The wait `t` that a send `i` may end by itself: it has its key to itself, and takes any payload. */
const isHit = (wantedId: Statement): Statement => sql`
  t.project_id = i.project_id AND t.environment_id = i.environment_id AND t.event_key = i.event_key
    AND t.slot = '' AND t.status = 'waiting' AND t.trigger_type = 'event'
    AND (t.closes_at IS NULL OR t.closes_at > strait_now())
    AND t.payload_schema IS NULL AND t.filter IS NULL AND t.group_id IS NULL
    AND t.generation = coalesce(i.generation, t.generation) AND t.id = coalesce(${wantedId}, t.id)`;

/** Answers with the triggers that it settles; where it settles none, though some of the keys are waited for, with a row of nulls. */
function settleOn(
  db: Queryable,
  lease: number,
  items: readonly KeySettlement[],
): Promise<(SettledTrigger | { readonly id: null })[]> {
  const trigger = triggerMoves.receive;
  const run = runMoves.resumeNow;
  return db.query(sql`
    WITH lease AS (SELECT id FROM leases WHERE id = ${lease} AND alive FOR KEY SHARE),
    found AS (
      SELECT t.*, i.payload, i.actor, i.channel, i.event_id, i.idempotency_key
      FROM ${records<Pick<KeySettlement, keyof typeof freeTypes>>("i", freeTypes, items)}
      CROSS JOIN LATERAL (
        SELECT t.project_id, t.id AS trigger_id, t.job_run_id, t.notify_url FROM event_triggers t
        WHERE ${isHit(sql`i.trigger_id`)} FOR NO KEY UPDATE SKIP LOCKED) t),
    owner AS (
      SELECT f.*, lease.id AS lease, f.payload AS checkpoint, 'event_trigger'::text AS checkpoint_source
      FROM found f CROSS JOIN lease CROSS JOIN LATERAL (
        SELECT FROM runs r WHERE r.project_id = f.project_id AND r.id = f.job_run_id AND r.status = ANY(${run.from})
          AND r.payload <> ''
        FOR NO KEY UPDATE SKIP LOCKED) r
      WHERE f.notify_url IS NULL),
    moved AS (
      UPDATE runs r SET ${savesCheckpoint} resume_reason = ${resumeReasons.receive}, detached = false, status = ${run.to},
        lease_id = i.lease, dispatch_seq = r.dispatch_seq + 1, started_at = strait_now(), heartbeat_at = NULL,
        change_seq = r.change_seq + 1
      FROM owner i
      WHERE r.project_id = i.project_id AND r.id = i.job_run_id AND r.status = ANY(${run.from})
      RETURNING r.project_id, r.id, r.status, r.change_seq, r.workflow_run_id, i.trigger_id, i.payload, i.actor,
        i.channel, i.event_id, i.idempotency_key, (
          SELECT row_to_json(c) FROM (
            SELECT ${inlineClaimedColumns} FROM jobs j JOIN projects p ON p.id = r.project_id
            WHERE j.project_id = r.project_id AND j.id = r.job_id) c) AS claimed),
    settled AS (
      UPDATE event_triggers t SET status = ${trigger.to}, finished_at = strait_now(), received_at = strait_now(),
        response_payload = g.payload, sent_by = g.actor, event_id = g.event_id, channel = g.channel,
        idempotency_key = g.idempotency_key, change_seq = t.change_seq + 1
      FROM moved g
      WHERE t.project_id = g.project_id AND t.id = g.trigger_id AND t.status = ANY(${trigger.from})
      RETURNING t.*, g.claimed),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, ended_trigger_id)
      SELECT project_id, id, change_seq, 'status', 'waiting', status, actor, workflow_run_id, trigger_id FROM moved)
    SELECT ${columns}, false AS owner_pending, NULL AS disposition, t.claimed
    FROM (SELECT count(*) AS waiting FROM found) f LEFT JOIN settled t ON true
    WHERE f.waiting > 0`);
}
