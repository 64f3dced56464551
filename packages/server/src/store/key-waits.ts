import type { EventTrigger } from "@strait/contract";
import { type Queryable, records, sql } from "./sql.ts";
import { columns, type KeyState } from "./triggers.ts";

export interface EventKey {
  readonly project_id: string;
  readonly environment_id: string;
  readonly event_key: string;
}

export const eventKeyTypes = { project_id: "text", environment_id: "text", event_key: "text" } as const;

export interface LockedKey extends EventKey {
  readonly generation: number;
}

/** Locks the rows of keys, making those that are missing; in the order of the keys, so that two callers cannot deadlock. */
export function lockKeys(tx: Queryable, keys: readonly EventKey[]): Promise<LockedKey[]> {
  return tx.query<LockedKey>(sql`
    INSERT INTO event_keys AS k (project_id, environment_id, event_key)
    SELECT DISTINCT project_id, environment_id, event_key FROM ${records("i", eventKeyTypes, keys)}
    ORDER BY project_id, environment_id, event_key
    ON CONFLICT (project_id, environment_id, event_key) DO UPDATE SET updated_at = strait_now()
    RETURNING k.project_id, k.environment_id, k.event_key, k.generation`);
}

/** Makes `trigger_id` the latest of its key, as the given generation. The key's row is locked. */
export async function nameLatest(
  tx: Queryable,
  rows: readonly (EventKey & { readonly generation: number; readonly trigger_id: string })[],
): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(sql`
    UPDATE event_keys k SET generation = i.generation, latest_trigger_id = i.trigger_id, updated_at = strait_now()
    FROM ${records("i", { ...eventKeyTypes, generation: "int4", trigger_id: "text" }, rows)}
    WHERE k.project_id = i.project_id AND k.environment_id = i.environment_id AND k.event_key = i.event_key`);
}

/** A FROM item: what waits on each key of `i`. Its own limit keeps a plan from an empty table from reading all that waits. */
const waitingOnEach = sql`
  CROSS JOIN LATERAL (
    SELECT t.project_id, t.id, t.group_id FROM event_triggers t
    WHERE t.project_id = i.project_id AND t.environment_id = i.environment_id AND t.event_key = i.event_key
      AND t.status = 'waiting' AND t.trigger_type = 'event' OFFSET 0) w`;

/**
 * Locks what waits on the keys, in the order of ids; the caller holds the keys' rows: owners before owned. So nothing can
 * begin or end to wait on them until the commit. The group of a member is locked before it: its id is smaller.
 */
export async function lockWaiting(tx: Queryable, keys: readonly EventKey[]): Promise<void> {
  await tx.query(sql`
    WITH w AS MATERIALIZED (
      SELECT DISTINCT w.project_id, m.id FROM ${records("i", eventKeyTypes, keys)} ${waitingOnEach}
      CROSS JOIN LATERAL unnest(ARRAY[w.id, w.group_id]) AS m (id) WHERE m.id IS NOT NULL
      ORDER BY w.project_id, m.id)
    SELECT l.id FROM w CROSS JOIN LATERAL (
      SELECT t.id FROM event_triggers t WHERE t.project_id = w.project_id AND t.id = w.id AND t.status = 'waiting'
      FOR NO KEY UPDATE) l`);
}

/** Locks the rows of keys that have been waited on, in the order of the keys. */
export async function holdKeys(tx: Queryable, keys: readonly EventKey[]): Promise<void> {
  await tx.query(sql`
    WITH i AS MATERIALIZED (
      SELECT DISTINCT project_id, environment_id, event_key FROM ${records("i", eventKeyTypes, keys)}
      ORDER BY project_id, environment_id, event_key)
    SELECT k.event_key FROM i CROSS JOIN LATERAL (
      SELECT k.event_key FROM event_keys k
      WHERE k.project_id = i.project_id AND k.environment_id = i.environment_id AND k.event_key = i.event_key
      FOR NO KEY UPDATE) k`);
}

/**
 * Locks the first of those that share a key, if it is not overdue: it tells as much as all of them of what the next may do,
 * and of ten thousand that wait for one broadcast the last would have to look at all others. The caller holds the key's row.
 */
export async function lockPeer(tx: Queryable, key: EventKey): Promise<EventTrigger | undefined> {
  const { project_id, environment_id, event_key } = key;
  const [peer] = await tx.query<EventTrigger>(sql`
    SELECT ${columns} FROM event_triggers t
    WHERE t.project_id = ${project_id} AND t.environment_id = ${environment_id} AND t.event_key = ${event_key}
      AND t.slot > '' AND t.status = 'waiting' AND t.trigger_type = 'event' AND t.group_id IS NULL
    ORDER BY t.slot LIMIT 1 FOR NO KEY UPDATE`);
  if (!peer || peer.expires_at === null) return peer;
  // In a statement after the lock: the deadline may have come while it was waited for.
  const open = await tx.query(sql`
    SELECT FROM event_triggers t
    WHERE t.project_id = ${project_id} AND t.id = ${peer.id} AND t.closes_at > strait_now()`);
  return open.length > 0 ? peer : undefined;
}

/** What waits on the keys, whose rows the caller holds; not locked. */
export function waitingOn(tx: Queryable, keys: readonly EventKey[]): Promise<{ id: string }[]> {
  return tx.query(sql`SELECT w.id FROM ${records("i", eventKeyTypes, keys)} ${waitingOnEach}`);
}

/**
 * Everything that waits on the keys, and the latest trigger of each, in the order of their ids. Read in a statement after
 * the locks, so that the deadline is decided now.
 */
export function standingOf(tx: Queryable, keys: readonly EventKey[]): Promise<(KeyState & { is_latest: boolean })[]> {
  return tx.query(sql`
    SELECT ${columns}, t.status = 'waiting' AND coalesce(t.closes_at <= strait_now(), false) AS overdue,
      t.id = k.latest_trigger_id AS is_latest
    FROM (SELECT DISTINCT * FROM ${records("i", eventKeyTypes, keys)}) i
    JOIN event_keys k ON k.project_id = i.project_id AND k.environment_id = i.environment_id AND k.event_key = i.event_key
    CROSS JOIN LATERAL (
      SELECT w.* FROM event_triggers w
      WHERE w.project_id = k.project_id AND w.environment_id = k.environment_id AND w.event_key = k.event_key
        AND w.status = 'waiting' AND w.trigger_type = 'event'
      UNION ALL
      SELECT l.* FROM event_triggers l
      WHERE l.project_id = k.project_id AND l.id = k.latest_trigger_id AND l.status <> 'waiting') t
    ORDER BY t.id`);
}

/** How the trigger stands that `findByKey` finds. */
export async function currentOf(db: Queryable, key: EventKey): Promise<KeyState | undefined> {
  const rows = await standingOf(db, [key]);
  const found = rows.filter(({ status }) => status === "waiting").at(-1) ?? rows.find(({ is_latest }) => is_latest);
  if (!found) return undefined;
  const { is_latest: _, ...state } = found;
  return state;
}

/** Of triggers that callers name, those of the present generation of their keys. */
export function namedOf(
  tx: Queryable,
  rows: readonly (EventKey & { readonly trigger_id: string })[],
): Promise<KeyState[]> {
  const wanted = rows.map(({ project_id, environment_id, event_key, trigger_id }) => ({
    project_id,
    environment_id,
    event_key,
    trigger_id,
  }));
  return tx.query<KeyState>(sql`
    SELECT ${columns}, t.status = 'waiting' AND coalesce(t.closes_at <= strait_now(), false) AS overdue
    FROM ${records("i", { ...eventKeyTypes, trigger_id: "text" }, wanted)}
    JOIN event_keys k ON k.project_id = i.project_id AND k.environment_id = i.environment_id AND k.event_key = i.event_key
    JOIN event_triggers t ON t.project_id = k.project_id AND t.id = i.trigger_id AND t.environment_id = k.environment_id
      AND t.event_key = k.event_key AND t.generation = k.generation AND t.trigger_type = 'event'`);
}

/** The latest triggers of keys as the rows of the keys name them, also when nothing else is left of them. */
export function deletedOf(
  tx: Queryable,
  keys: readonly EventKey[],
): Promise<(EventKey & { readonly id: string; readonly generation: number })[]> {
  const wanted = keys.map(({ project_id, environment_id, event_key }) => ({ project_id, environment_id, event_key }));
  return tx.query(sql`
    SELECT k.project_id, k.environment_id, k.event_key, k.generation, k.latest_trigger_id AS id
    FROM (SELECT DISTINCT * FROM ${records("i", eventKeyTypes, wanted)}) i
    JOIN event_keys k ON k.project_id = i.project_id AND k.environment_id = i.environment_id AND k.event_key = i.event_key
    WHERE k.latest_trigger_id IS NOT NULL`);
}

/** Takes waits out of the way in which only one can wait on a key. The caller holds them, and the key's row. */
export async function share(tx: Queryable, projectId: string, ids: readonly string[]): Promise<void> {
  await tx.query(sql`
    UPDATE event_triggers SET slot = id WHERE project_id = ${projectId} AND id = ANY(${ids}) AND slot = ''`);
}

/** What waits on a key, the one that opened last if several do, or else the latest trigger that did. */
export async function findByKey(
  db: Queryable,
  { project_id, environment_id, event_key }: EventKey,
): Promise<EventTrigger | undefined> {
  const [trigger] = await db.query<EventTrigger>(sql`
    SELECT ${columns} FROM event_keys k
    JOIN event_triggers t ON t.project_id = k.project_id AND t.id = coalesce((
      SELECT w.id FROM event_triggers w
      WHERE w.project_id = k.project_id AND w.environment_id = k.environment_id AND w.event_key = k.event_key
        AND w.status = 'waiting' AND w.trigger_type = 'event' ORDER BY w.slot DESC LIMIT 1), k.latest_trigger_id)
    WHERE k.project_id = ${project_id} AND k.environment_id = ${environment_id} AND k.event_key = ${event_key}`);
  return trigger;
}

/** The trigger with this id, if it is one of the key. */
export async function findOfKey(db: Queryable, key: EventKey, id: string): Promise<EventTrigger | undefined> {
  const [trigger] = await db.query<EventTrigger>(sql`
    SELECT ${columns} FROM event_triggers t WHERE t.project_id = ${key.project_id} AND t.id = ${id}
      AND t.environment_id = ${key.environment_id} AND t.event_key = ${key.event_key} AND t.trigger_type = 'event'`);
  return trigger;
}
