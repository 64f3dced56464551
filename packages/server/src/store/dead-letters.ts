import type { DeadLetter, DeadLetterReason } from "@strait/contract";
import { UNDELIVERED } from "./events.ts";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { type Queryable, sql } from "./sql.ts";

const columns = sql`
  id, project_id, environment_id, event_key, trigger_id, generation, dead_letter_reason AS reason,
  dead_letter_status AS status, payload::json AS payload, coalesce(issues, '[]') AS issues, channel, actor AS sent_by,
  created_at AS sent_at, dead_lettered_at, handled_at, handled_by, retargeted_event_id`;

/** Whose dead letters: those of a project's environment. */
export interface Owner {
  readonly project_id: string;
  readonly environment_id: string;
}

export interface DeadLetterFilter {
  readonly reason?: DeadLetterReason | undefined;
  /** In NFC. */
  readonly prefix?: string | undefined;
}

/** Those that nobody has handled yet, newest event first. */
export async function list(
  db: Queryable,
  owner: Owner,
  { reason, prefix }: DeadLetterFilter,
  page: PageRequest,
): Promise<Page<DeadLetter>> {
  const rows = await db.query<DeadLetter>(sql`
    SELECT ${columns} FROM events
    WHERE project_id = ${owner.project_id} AND environment_id = ${owner.environment_id} AND dead_letter_status = 'open'
      AND ${olderThan("dead-letters", page)}
      AND ${reason === undefined ? sql`true` : sql`dead_letter_reason = ${reason}`}
      AND ${prefix === undefined ? sql`true` : sql`starts_with(event_key, ${prefix})`}
    ORDER BY id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("dead-letters", page, rows);
}

export async function find(db: Queryable, owner: Owner, id: string): Promise<DeadLetter | undefined> {
  const [letter] = await db.query<DeadLetter>(sql`
    SELECT ${columns} FROM events
    WHERE project_id = ${owner.project_id} AND environment_id = ${owner.environment_id} AND id = ${id}
      AND ${UNDELIVERED} AND dead_letter_status IS NOT NULL`);
  return letter;
}

export interface OpenLetter {
  /** JSON, as the text that was sent. */
  readonly payload: string;
}

/** Locks a dead letter that nobody has handled yet. Nobody who holds the row of a key asks for one. */
export async function lockOpen(tx: Queryable, owner: Owner, id: string): Promise<OpenLetter | undefined> {
  const [letter] = await tx.query<OpenLetter>(sql`
    SELECT payload FROM events
    WHERE project_id = ${owner.project_id} AND environment_id = ${owner.environment_id} AND id = ${id}
      AND ${UNDELIVERED} AND dead_letter_status || '' = 'open'
    FOR NO KEY UPDATE`);
  return letter;
}

/** Closes a dead letter; undefined when there is none that is open. */
export async function close(
  db: Queryable,
  owner: Owner,
  id: string,
  handled: { readonly status: "retargeted" | "discarded"; readonly actor: string; readonly event_id: string | null },
): Promise<DeadLetter | undefined> {
  const [letter] = await db.query<DeadLetter>(sql`
    UPDATE events SET dead_letter_status = ${handled.status}, handled_at = strait_now(), handled_by = ${handled.actor},
      retargeted_event_id = ${handled.event_id}
    WHERE project_id = ${owner.project_id} AND environment_id = ${owner.environment_id} AND id = ${id}
      AND ${UNDELIVERED} AND dead_letter_status || '' = 'open'
    RETURNING ${columns}`);
  return letter;
}

/** Makes dead letters of buffered events whose time is over, at most `limit`; how many. Those at hand are passed over. */
export async function expire(db: Queryable, limit: number): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`
    WITH expired AS (
      UPDATE events SET disposition = 'expired', dead_letter_reason = 'expired', dead_letter_status = 'open',
        dead_lettered_at = strait_now()
      WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM events WHERE disposition = 'buffered' AND expires_at <= strait_now()
        ORDER BY expires_at LIMIT ${limit} FOR NO KEY UPDATE SKIP LOCKED))
      RETURNING 1)
    SELECT count(*)::int AS n FROM expired`);
  return row?.n ?? 0;
}
