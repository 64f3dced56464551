import type { Disposition, EventRecord, NearKey } from "@strait/contract";
import { actorOf } from "../domain/actor.ts";
import { payloadDigest } from "./events.ts";
import type { EventKey } from "./key-waits.ts";
import { cutPage, fetchLimit, olderThan, type Page, type PageRequest } from "./page.ts";
import { ifGiven, type Queryable, type Statement, sql } from "./sql.ts";

interface Row extends Omit<EventRecord, "actor" | "payload_digest"> {
  readonly actor: string;
  /** Only where the payload is not kept. */
  readonly payload_digest: string | null;
}

const columns = sql`
  e.id, e.project_id, e.environment_id, e.event_key, e.trigger_id, e.generation, e.disposition, e.payload::json AS payload,
  e.payload_digest, e.is_rejection, e.for_next, e.issues, e.actor, e.channel, e.idempotency_key, e.expires_at, e.created_at`;

const toRecord = (row: Row): EventRecord => ({
  ...row,
  payload_digest: row.payload_digest ?? payloadDigest(row.payload),
  actor: actorOf(row.actor),
});

const ofKey = (key: EventKey): Statement => sql`
  e.project_id = ${key.project_id} AND e.environment_id = ${key.environment_id} AND e.event_key = ${key.event_key}`;

/** A key on which somebody has waited. */
export type KnownKey = Omit<NearKey, "reason">;

export interface EventFilter {
  readonly trigger_id?: string | undefined;
  readonly disposition?: Disposition | undefined;
}

/** What was sent to a key, newest first. */
export async function list(
  db: Queryable,
  key: EventKey,
  filter: EventFilter,
  page: PageRequest,
): Promise<Page<EventRecord>> {
  const rows = await db.query<Row>(sql`
    SELECT ${columns} FROM sends e
    WHERE ${ofKey(key)} AND ${olderThan("sends", page)}
      AND ${ifGiven(filter.trigger_id, (id) => sql`e.trigger_id = ${id}`)}
      AND ${ifGiven(filter.disposition, (disposition) => sql`e.disposition = ${disposition}`)}
    ORDER BY e.id DESC LIMIT ${fetchLimit(page)}`);
  return cutPage("sends", page, rows.map(toRecord), (row) => row.id);
}

export async function find(db: Queryable, key: EventKey, id: string): Promise<EventRecord | undefined> {
  const [row] = await db.query<Row>(sql`SELECT ${columns} FROM sends e WHERE ${ofKey(key)} AND e.id = ${id}`);
  return row && toRecord(row);
}

/** How many keys are looked at on each side of one, and how many of what has waited lately. */
const NEIGHBORS = 50;
const LATEST = 1_000;

/**
 * Keys that may have been meant by another: the same one in other environments, its neighbors in the order of keys, and
 * those of the latest waits. Each is a bounded range of an index, so the search costs the same among millions.
 */
export function keysAround(db: Queryable, key: EventKey, namespace: string): Promise<KnownKey[]> {
  const { project_id, environment_id, event_key } = key;
  const known = sql`k.project_id = ${project_id} AND k.environment_id = ${environment_id}`;
  return db.query<KnownKey>(sql`
    WITH near AS (
      SELECT k.environment_id, k.event_key, k.latest_trigger_id FROM environments n
      JOIN event_keys k ON k.project_id = n.project_id AND k.environment_id = n.id AND k.event_key = ${event_key}
      WHERE n.project_id = ${project_id} AND n.id <> ${environment_id}
      UNION (SELECT environment_id, event_key, latest_trigger_id FROM event_keys k WHERE ${known} AND k.event_key > ${event_key}
        ORDER BY k.event_key LIMIT ${NEIGHBORS}::int8)
      UNION (SELECT environment_id, event_key, latest_trigger_id FROM event_keys k WHERE ${known} AND k.event_key < ${event_key}
        ORDER BY k.event_key DESC LIMIT ${NEIGHBORS}::int8)
      UNION (SELECT environment_id, event_key, latest_trigger_id FROM event_keys k WHERE ${known} AND k.event_key >= ${namespace}
        ORDER BY k.event_key LIMIT ${NEIGHBORS}::int8)
      UNION (SELECT environment_id, event_key, id FROM (
        SELECT t.environment_id, t.event_key, t.id, t.trigger_type FROM event_triggers t WHERE t.project_id = ${project_id}
        ORDER BY t.id DESC LIMIT ${LATEST}::int8) t WHERE t.environment_id = ${environment_id} AND t.trigger_type = 'event'))
    SELECT DISTINCT ON (n.environment_id, n.event_key) n.environment_id, n.event_key, t.status
    FROM near n JOIN event_triggers t ON t.project_id = ${project_id} AND t.id = n.latest_trigger_id
    WHERE t.trigger_type = 'event'
    ORDER BY n.environment_id, n.event_key, t.id DESC`);
}
