import type { InboxDisposition, InboxEntry, InboxMessage, RunStatus } from "@strait/contract";
import { MAX_TAKEN_BYTES } from "../domain/defaults.ts";
import { cutPage, fetchLimit, type Page, type PageRequest, positionOf } from "./page.ts";
import { constant, type Queryable, type Statement, sql } from "./sql.ts";

const TAKEN_BYTES = constant(MAX_TAKEN_BYTES);

const columns = sql`
  m.id, m.run_id, m.name, m.sequence, m.payload::json AS payload, m.disposition, m.actor AS sent_by, m.created_at`;

const isUnread = sql`m.received_at IS NULL AND m.disposition <> 'late'`;

/** The row that every send to a run and every receive of the run locks. */
export interface Inbox {
  /** The trigger that a message may end; it may have ended otherwise. */
  readonly waiter_id: string | null;
  /** The names that the waiter accepts; null for any. */
  readonly accepts: readonly string[] | null;
}

/** Locks the inbox of a run: the order of its messages is the order of this lock (O1). Undefined when there is no such run. */
export async function lock(tx: Queryable, projectId: string, runId: string): Promise<Inbox | undefined> {
  const [inbox] = await tx.query<Inbox>(sql`
    INSERT INTO run_inboxes AS b (project_id, run_id, last_sequence)
    SELECT project_id, id, 0 FROM runs WHERE project_id = ${projectId} AND id = ${runId}
    ON CONFLICT (project_id, run_id) DO UPDATE SET last_sequence = b.last_sequence
    RETURNING b.waiter_id, b.accepts`);
  return inbox;
}

export interface InboxState {
  readonly status: RunStatus;
  /** Whether the waiter still waits. */
  readonly waits: boolean;
  readonly max_unread: number;
  /** Whether there are as many unread messages as there may be. */
  readonly is_full: boolean;
}

/** How the run and the wait on its inbox stand. Read in a statement after the inbox is locked. */
export async function stateOf(
  tx: Queryable,
  projectId: string,
  runId: string,
  waiterId: string | null,
): Promise<InboxState | undefined> {
  const [state] = await tx.query<InboxState>(sql`
    SELECT r.status, p.max_unread_messages_per_run AS max_unread,
      EXISTS (SELECT FROM event_triggers t
        WHERE t.project_id = r.project_id AND t.id = ${waiterId} AND t.status = 'waiting') AS waits,
      -- As few messages as were ever sent need not be counted.
      CASE WHEN b.last_sequence >= p.max_unread_messages_per_run THEN (
        SELECT count(*) FROM (
          SELECT FROM inbox_messages m WHERE m.project_id = r.project_id AND m.run_id = r.id AND ${isUnread}
          LIMIT p.max_unread_messages_per_run) unread) >= p.max_unread_messages_per_run
        ELSE false END AS is_full
    FROM runs r JOIN projects p ON p.id = r.project_id
    JOIN run_inboxes b ON b.project_id = r.project_id AND b.run_id = r.id
    WHERE r.project_id = ${projectId} AND r.id = ${runId}`);
  return state;
}

export interface NewMessage {
  readonly project_id: string;
  readonly run_id: string;
  readonly id: string;
  readonly name: string;
  /** JSON text. */
  readonly payload: string;
  readonly disposition: InboxDisposition;
  readonly actor: string;
  readonly idempotency_key: string | null;
  readonly body_hash: string | null;
}

/** Adds the next message to an inbox, which is locked. */
export async function insert(tx: Queryable, message: NewMessage): Promise<InboxMessage> {
  const [row] = await tx.query<InboxMessage>(sql`
    WITH counted AS (
      UPDATE run_inboxes SET last_sequence = last_sequence + 1
      WHERE project_id = ${message.project_id} AND run_id = ${message.run_id} RETURNING last_sequence)
    INSERT INTO inbox_messages AS m (project_id, run_id, sequence, id, name, payload, disposition, actor, idempotency_key,
      body_hash)
    SELECT ${message.project_id}, ${message.run_id}, last_sequence, ${message.id}, ${message.name}, ${message.payload},
      ${message.disposition}, ${message.actor}, ${message.idempotency_key}, ${message.body_hash} FROM counted
    RETURNING ${columns}`);
  if (!row) throw new Error("a message was not inserted");
  return row;
}

/** The message that a request with this key has brought. The inbox is locked. */
export async function findByKey(
  tx: Queryable,
  projectId: string,
  runId: string,
  name: string,
  key: string,
): Promise<{ message: InboxMessage; body_hash: string } | undefined> {
  const [row] = await tx.query<InboxMessage & { body_hash: string }>(sql`
    SELECT ${columns}, m.body_hash FROM inbox_messages m
    WHERE m.project_id = ${projectId} AND m.run_id = ${runId} AND m.name = ${name} AND m.idempotency_key = ${key}`);
  if (!row) return undefined;
  const { body_hash, ...message } = row;
  return { message, body_hash };
}

/** Notes that the message has ended the wait on its inbox, which is locked. */
export async function markDelivered(
  tx: Queryable,
  projectId: string,
  { run_id, sequence }: Pick<InboxMessage, "run_id" | "sequence">,
): Promise<void> {
  await tx.query(sql`
    WITH message AS (
      UPDATE inbox_messages SET disposition = 'delivered', received_at = strait_now()
      WHERE project_id = ${projectId} AND run_id = ${run_id} AND sequence = ${sequence})
    UPDATE run_inboxes SET waiter_id = NULL, accepts = NULL WHERE project_id = ${projectId} AND run_id = ${run_id}`);
}

/** Names the trigger that the next message with one of the names ends. The inbox is locked. */
export async function setWaiter(
  tx: Queryable,
  projectId: string,
  runId: string,
  waiterId: string,
  accepts: readonly string[] | null,
): Promise<void> {
  await tx.query(sql`
    UPDATE run_inboxes SET waiter_id = ${waiterId}, accepts = ${accepts}
    WHERE project_id = ${projectId} AND run_id = ${runId}`);
}

/** Hands out the oldest unread messages, those of other names left in their places. The inbox is locked. */
export async function take(
  tx: Queryable,
  projectId: string,
  runId: string,
  names: readonly string[] | null,
  max: number,
): Promise<InboxMessage[]> {
  const taken = await tx.query<InboxMessage>(sql`
    WITH next AS (
      SELECT sequence, octet_length(payload) AS bytes, sum(octet_length(payload)) OVER (ORDER BY sequence) AS total
      FROM inbox_messages m
      WHERE project_id = ${projectId} AND run_id = ${runId} AND ${isUnread} AND (${names}::text[] IS NULL OR name = ANY(${names}))
      ORDER BY sequence LIMIT ${max})
    UPDATE inbox_messages m SET received_at = strait_now() FROM next n
    WHERE m.project_id = ${projectId} AND m.run_id = ${runId} AND m.sequence = n.sequence
      AND (n.total <= ${TAKEN_BYTES} OR n.total = n.bytes)
    RETURNING ${columns}`);
  return taken.sort((a, b) => a.sequence - b.sequence);
}

export interface InboxFilter {
  readonly name?: string | undefined;
  readonly unread?: boolean | undefined;
}

export async function list(
  db: Queryable,
  projectId: string,
  runId: string,
  filter: InboxFilter,
  page: PageRequest,
): Promise<Page<InboxEntry>> {
  const after = Number(positionOf("inbox", page, /^\d{1,10}$/) ?? 0);
  const rows = await db.query<InboxEntry>(sql`
    SELECT ${columns}, m.received_at FROM inbox_messages m
    WHERE m.project_id = ${projectId} AND m.run_id = ${runId} AND m.sequence > ${after}
      AND (${filter.name ?? null}::text IS NULL OR m.name = ${filter.name ?? null}) AND ${unreadIs(filter.unread)}
    ORDER BY m.sequence LIMIT ${fetchLimit(page)}`);
  return cutPage("inbox", page, rows, (row) => String(row.sequence));
}

function unreadIs(unread: boolean | undefined): Statement {
  if (unread === undefined) return sql`true`;
  return unread ? isUnread : sql`NOT (${isUnread})`;
}
