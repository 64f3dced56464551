import { hash } from "node:crypto";
import type { BufferedPick, DeadLetterReason, Disposition, ErrorIssue } from "@strait/contract";
import { canonicalJson } from "@strait/core";
import { type EventKey, eventKeyTypes } from "./key-waits.ts";
import { atMicros, microsOf, nothing, type Queryable, records, type Statement, sql } from "./sql.ts";

/** One send, with what became of it. */
export interface NewEvent {
  readonly project_id: string;
  readonly id: string;
  readonly environment_id: string;
  readonly event_key: string;
  readonly trigger_id: string | null;
  readonly generation: number | null;
  readonly disposition: Disposition;
  readonly payload: string;
  /** Of a payload that is not kept. */
  readonly payload_digest?: string | null;
  readonly actor: string;
  readonly channel: string;
  readonly idempotency_key: string | null;
  readonly is_rejection: boolean;
  readonly for_next: boolean;
  /** Seconds that a buffered event waits for its trigger; null for any other. */
  readonly ttl_secs: number | null;
  /** JSON: what the payload of a rejected event breaks. */
  readonly issues?: string | null;
  /** Why it is a dead letter; absent where its sender was told what became of it. */
  readonly dead_letter_reason?: DeadLetterReason | null;
}

const newEventTypes = {
  project_id: "text",
  id: "text",
  environment_id: "text",
  event_key: "text",
  trigger_id: "text",
  generation: "int4",
  disposition: "text",
  payload: "text",
  payload_digest: "text",
  actor: "text",
  channel: "text",
  idempotency_key: "text",
  is_rejection: "bool",
  for_next: "bool",
  ttl_secs: "int4",
  issues: "json",
  dead_letter_reason: "text",
} as const satisfies Record<keyof NewEvent, string>;

/** SHA-256 of the canonical payload, hex: payloads that are equal as JSON have the same. */
export const payloadDigest = (payload: unknown): string => hash("sha256", canonicalJson(payload));

/** Records what settled nothing, and rejections; a send that settles a wait is recorded by the statement that does it. */
export function insert(
  tx: Queryable,
  rows: readonly NewEvent[],
): Promise<{ id: string; event_key: string; expires_at: string | null }[]> {
  return tx.query(sql`
    INSERT INTO events (project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload,
      payload_digest, actor, channel, idempotency_key, is_rejection, for_next, expires_at, issues, dead_letter_reason,
      dead_letter_status, dead_lettered_at)
    SELECT project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload, payload_digest, actor,
      channel, idempotency_key, is_rejection, for_next, strait_now() + make_interval(secs => ttl_secs), issues,
      dead_letter_reason, CASE WHEN dead_letter_reason IS NOT NULL THEN 'open' END,
      CASE WHEN dead_letter_reason IS NOT NULL THEN strait_now() END
    FROM ${records("i", newEventTypes, rows)}
    RETURNING id, event_key, expires_at`);
}

/** How many more events each key may hold for a wait to come; counted no further than the limit. The caller holds the keys. */
export function roomOf(
  tx: Queryable,
  keys: readonly EventKey[],
): Promise<(EventKey & { readonly max: number; readonly left: number })[]> {
  return tx.query(sql`
    SELECT i.project_id, i.environment_id, i.event_key, p.max_buffered_events_per_key AS max,
      p.max_buffered_events_per_key - (
        SELECT count(*)::int4 FROM (
          SELECT FROM events e
          WHERE e.project_id = i.project_id AND e.environment_id = i.environment_id AND e.event_key = i.event_key
            AND e.disposition = 'buffered' AND e.expires_at > strait_now()
          LIMIT p.max_buffered_events_per_key) held) AS left
    FROM (SELECT DISTINCT * FROM ${records("i", eventKeyTypes, keys.map(keyIn))}) i JOIN projects p ON p.id = i.project_id`);
}

const keyIn = ({ project_id, environment_id, event_key }: EventKey): EventKey => ({
  project_id,
  environment_id,
  event_key,
});

/** Which of several buffered events is looked at first. */
const orders = { oldest: sql`ASC`, newest: sql`DESC` } as const satisfies Record<BufferedPick, Statement>;

/**
 * The oldest or newest event that waits for the key and has not expired, whether or not a sweeper has been (B2, B7). Which
 * is older the database's clock says, which was read while the key was held: ids are made by the clocks of many processes.
 */
export async function firstBuffered(
  tx: Queryable,
  key: EventKey,
  since: string | null,
  pick: BufferedPick,
): Promise<{ id: string } | undefined> {
  const [event] = await tx.query<{ id: string }>(sql`
    SELECT id FROM events
    WHERE project_id = ${key.project_id} AND environment_id = ${key.environment_id} AND event_key = ${key.event_key}
      AND disposition = 'buffered' AND expires_at > strait_now()
      AND (${since}::timestamptz IS NULL OR created_at >= ${since}::timestamptz)
    ORDER BY created_at ${orders[pick]}, id ${orders[pick]} LIMIT 1 FOR NO KEY UPDATE`);
  return event;
}

export interface BufferedPayload {
  readonly id: string;
  /** Microseconds of the epoch. */
  readonly created_us: number;
  readonly payload: unknown;
  readonly actor: string;
}

/**
 * A page of the events that wait for the key, in the order of `pick`, as `firstBuffered` finds them; not locked: the
 * caller holds the key, so nobody else takes one.
 *
 * @param last - Of the page before; null for the first page.
 */
export function bufferedAfter(
  tx: Queryable,
  key: EventKey,
  since: string | null,
  pick: BufferedPick,
  last: BufferedPayload | null,
  limit: number,
): Promise<BufferedPayload[]> {
  const isBehind = pick === "oldest" ? sql`>` : sql`<`;
  return tx.query<BufferedPayload>(sql`
    SELECT id, ${microsOf(sql`created_at`)} AS created_us, payload::json AS payload, actor FROM events
    WHERE project_id = ${key.project_id} AND environment_id = ${key.environment_id} AND event_key = ${key.event_key}
      AND disposition = 'buffered' AND expires_at > strait_now()
      ${last === null ? nothing : sql`AND (created_at, id) ${isBehind} (${atMicros(last.created_us)}, ${last.id})`}
      AND (${since}::timestamptz IS NULL OR created_at >= ${since}::timestamptz)
    ORDER BY created_at ${orders[pick]}, id ${orders[pick]} LIMIT ${limit}`);
}

/** How the index of events by id has it: those that are delivered are found by their keys alone. */
export const UNDELIVERED = sql`disposition <> 'delivered'`;

/** Locks a buffered event; false when it has expired meanwhile. */
export async function lockBuffered(tx: Queryable, projectId: string, id: string): Promise<boolean> {
  const rows = await tx.query(sql`
    SELECT 1 FROM events
    WHERE project_id = ${projectId} AND id = ${id} AND ${UNDELIVERED} AND disposition || '' = 'buffered'
      AND expires_at > strait_now()
    FOR NO KEY UPDATE`);
  return rows.length > 0;
}

export interface RejectedEvent {
  readonly id: string;
  /** JSON. */
  readonly issues: string;
}

/** Makes dead letters of buffered events that the trigger cannot take. The caller holds their key. */
export async function rejectBuffered(
  tx: Queryable,
  trigger: { readonly project_id: string; readonly id: string; readonly generation: number },
  rows: readonly RejectedEvent[],
): Promise<void> {
  await tx.query(sql`
    UPDATE events e SET disposition = 'rejected', trigger_id = ${trigger.id}, generation = ${trigger.generation},
      expires_at = NULL, issues = i.issues, dead_letter_reason = 'payload_mismatch', dead_letter_status = 'open',
      dead_lettered_at = strait_now()
    FROM ${records("i", { id: "text", issues: "json" }, rows)}
    WHERE e.project_id = ${trigger.project_id} AND e.id = i.id AND ${UNDELIVERED} AND e.disposition || '' = 'buffered'`);
}

export interface RecordedEvent {
  readonly id: string;
  readonly trigger_id: string | null;
  readonly disposition: Disposition;
  readonly expires_at: string | null;
  readonly issues: readonly [ErrorIssue, ...ErrorIssue[]] | null;
}

/** Which of the events stand already: asked after a broken connection, when nobody knows what was committed. */
export function findRecorded(
  tx: Queryable,
  sends: readonly (EventKey & { readonly event_id: string })[],
): Promise<RecordedEvent[]> {
  return tx.query<RecordedEvent>(sql`
    SELECT e.id, e.trigger_id, e.disposition, e.expires_at, e.issues
    FROM ${records(
      "i",
      { ...eventKeyTypes, id: "text" },
      sends.map((send) => ({ ...keyIn(send), id: send.event_id })),
    )}
    CROSS JOIN LATERAL (
      SELECT * FROM sends e
      WHERE e.project_id = i.project_id AND e.environment_id = i.environment_id AND e.event_key = i.event_key AND e.id = i.id
      LIMIT 1) e -- one at a time: a join with the view would read all waits`);
}
