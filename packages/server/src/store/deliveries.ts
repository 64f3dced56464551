import type { DeliveryStatus, WebhookDelivery } from "@strait/contract";
import { type DeliveryMove, deliveryMoves } from "@strait/core";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { ifGiven, type Queryable, sql } from "./sql.ts";

const columns = sql`
  d.id, d.project_id, d.event_type, d.event_trigger_id, d.run_id, d.job_id, d.webhook_url,
  'exponential' AS webhook_retry_policy, d.status, d.attempts, d.max_attempts, d.last_status_code, d.last_error,
  d.next_retry_at, d.delivered_at, d.created_at, d.updated_at`;

/** A delivery that this process may attempt now, with what the request is made of. */
export interface ClaimedDelivery {
  readonly project_id: string;
  readonly id: string;
  /** Fences what is written about this attempt. */
  readonly claim_seq: number;
  readonly event_trigger_id: string | null;
  readonly run_id: string | null;
  readonly job_id: string | null;
  readonly webhook_url: string;
  /** The bytes that every attempt sends. */
  readonly payload: string;
  /** Attempts that have ended. */
  readonly attempts: number;
  readonly max_attempts: number;
  readonly signing_version: number;
}

/** So many are claimed at once at most: written into the statement, so that its plan is made for a few rows. */
const BATCH = sql`16`;

/**
 * Takes deliveries that are due, the longest due first; rows that another process is taking are skipped. A claim that was
 * not finished within its lease is taken again. Not tied to a project: whoever has room works them off.
 *
 * @param leaseMs - How long nobody else may attempt them.
 * @param exceptProjects - Projects that have enough under way.
 */
export function claim(db: Queryable, leaseMs: number, exceptProjects: readonly string[]): Promise<ClaimedDelivery[]> {
  return db.query<ClaimedDelivery>(sql`
    WITH due AS (
      SELECT project_id, id FROM webhook_deliveries
      WHERE status = 'pending' AND next_retry_at <= strait_now()
        AND (claimed_until IS NULL OR claimed_until <= strait_now()) AND project_id <> ALL(${exceptProjects}::text[])
      ORDER BY next_retry_at LIMIT ${BATCH} FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE webhook_deliveries d SET claim_seq = d.claim_seq + 1,
      claimed_until = strait_now() + make_interval(secs => ${leaseMs / 1000}::float8)
    FROM due i JOIN projects p ON p.id = i.project_id
    WHERE d.project_id = i.project_id AND d.id = i.id
    RETURNING d.project_id, d.id, d.claim_seq, d.event_trigger_id, d.run_id, d.job_id, d.webhook_url, d.payload,
      d.attempts, d.max_attempts, p.signing_version`);
}

/** Milliseconds until the next delivery can be claimed, at most `horizonMs`; negative when one can be now. */
export async function msUntilDue(db: Queryable, horizonMs: number, exceptProjects: readonly string[]): Promise<number> {
  const [row] = await db.query<{ ms: number | null }>(sql`
    SELECT (extract(epoch FROM min(greatest(next_retry_at, claimed_until)) - strait_now()) * 1000)::float8 AS ms
    FROM webhook_deliveries
    WHERE status = 'pending' AND next_retry_at <= strait_now() + make_interval(secs => ${horizonMs / 1000}::float8)
      AND project_id <> ALL(${exceptProjects}::text[])`);
  return Math.min(row?.ms ?? horizonMs, horizonMs);
}

/** What became of a delivery, or of one attempt. */
export interface DeliveryEnd {
  readonly project_id: string;
  readonly id: string;
  /** The claim whose attempt this is; null for what somebody asks for. */
  readonly claim_seq: number | null;
  readonly status_code: number | null;
  readonly error: string | null;
  readonly actor: string;
}

/**
 * Applies `name` if the delivery's status still allows it and, where an attempt is over, the claim still stands; undefined
 * where not. The trigger learns in the same statement, unless it has since come to another status, of which another
 * delivery tells. The trigger is locked before the delivery: owners before owned (K1).
 */
export async function move(
  db: Queryable,
  name: DeliveryMove,
  { project_id, id, claim_seq, status_code, error, actor }: DeliveryEnd,
): Promise<WebhookDelivery | undefined> {
  const { from, to } = deliveryMoves[name];
  const reopens = to === "pending";
  const known = to === "delivered" ? "sent" : reopens ? "pending" : "failed";
  const [delivery] = await db.query<WebhookDelivery>(sql`
    WITH target AS (
      SELECT d.project_id, d.id, d.status AS before FROM webhook_deliveries d
      LEFT JOIN LATERAL (
        SELECT t.id FROM event_triggers t WHERE t.project_id = d.project_id AND t.id = d.event_trigger_id
        FOR NO KEY UPDATE) t ON true
      WHERE d.project_id = ${project_id} AND d.id = ${id} AND d.status = ANY(${from})
        AND d.claim_seq = coalesce(${claim_seq}, d.claim_seq)
      FOR NO KEY UPDATE OF d),
    moved AS (
      UPDATE webhook_deliveries d SET status = ${to}, claimed_until = NULL, updated_at = strait_now(),
        attempts = CASE WHEN ${reopens} THEN 0 ELSE d.attempts + 1 END,
        last_status_code = CASE WHEN ${reopens} THEN d.last_status_code ELSE ${status_code} END,
        last_error = CASE WHEN ${reopens} THEN d.last_error ELSE ${error} END,
        next_retry_at = CASE WHEN ${reopens} THEN strait_now() END,
        delivered_at = CASE WHEN ${to} = 'delivered' THEN strait_now() END, change_seq = d.change_seq + 1
      FROM target g WHERE d.project_id = g.project_id AND d.id = g.id
      RETURNING d.*, g.before),
    told AS (
      UPDATE event_triggers t SET notify_status = ${known} FROM moved m
      WHERE t.project_id = m.project_id AND t.id = m.event_trigger_id AND ${isLatest} AND t.notify_status <> 'sent'),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, message)
      SELECT project_id, id, change_seq, 'status', before, status, ${actor}, ${error} FROM moved)
    SELECT ${columns} FROM moved d`);
  return delivery;
}

/** Whether the delivery `m` tells of the present status of its trigger `t`. */
const isLatest = sql`m.event_type = 'trigger.' || t.status`;

/** Writes down an attempt that failed and makes the next one due in `delayMs`. False: the claim is no longer the caller's. */
export async function postpone(
  db: Queryable,
  { project_id, id, claim_seq, status_code, error }: Omit<DeliveryEnd, "actor">,
  delayMs: number,
): Promise<boolean> {
  const rows = await db.query(sql`
    UPDATE webhook_deliveries SET attempts = attempts + 1, last_status_code = ${status_code}, last_error = ${error},
      claimed_until = NULL, updated_at = strait_now(),
      next_retry_at = strait_now() + make_interval(secs => ${delayMs / 1000}::float8)
    WHERE project_id = ${project_id} AND id = ${id} AND status = 'pending' AND claim_seq = ${claim_seq} RETURNING id`);
  return rows.length > 0;
}

/** Gives a claim back whose attempt was not made, or was cut short: it costs no attempt, and anybody may go on at once. */
export async function release(
  db: Queryable,
  { project_id, id, claim_seq }: Pick<ClaimedDelivery, "project_id" | "id" | "claim_seq">,
): Promise<void> {
  await db.query(sql`
    UPDATE webhook_deliveries SET claimed_until = NULL
    WHERE project_id = ${project_id} AND id = ${id} AND status = 'pending' AND claim_seq = ${claim_seq}`);
}

/** A new delivery with the bytes and the receiver of an old one. Undefined: there is no such delivery. */
export async function copy(
  db: Queryable,
  projectId: string,
  id: string,
  newId: string,
  actor: string,
): Promise<WebhookDelivery | undefined> {
  const [delivery] = await db.query<WebhookDelivery>(sql`
    WITH copied AS (
      INSERT INTO webhook_deliveries AS d (project_id, id, event_trigger_id, event_type, run_id, job_id, webhook_url,
        max_attempts, payload, next_retry_at, change_seq)
      SELECT project_id, ${newId}, event_trigger_id, event_type, run_id, job_id, webhook_url, max_attempts, payload,
        strait_now(), 1
      FROM webhook_deliveries WHERE project_id = ${projectId} AND id = ${id}
      RETURNING d.*),
    told AS (
      UPDATE event_triggers t SET notify_status = 'pending' FROM copied m
      WHERE t.project_id = m.project_id AND t.id = m.event_trigger_id AND ${isLatest} AND t.notify_status <> 'sent'),
    change AS (
      INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor)
      SELECT project_id, id, change_seq, 'status', status, ${actor} FROM copied)
    SELECT ${columns} FROM copied d`);
  return delivery;
}

export async function find(db: Queryable, projectId: string, id: string): Promise<WebhookDelivery | undefined> {
  const [delivery] = await db.query<WebhookDelivery>(sql`
    SELECT ${columns} FROM webhook_deliveries d WHERE d.project_id = ${projectId} AND d.id = ${id}`);
  return delivery;
}

export interface DeliveryFilter {
  readonly status?: DeliveryStatus | undefined;
  readonly event_trigger_id?: string | undefined;
}

export async function list(
  db: Queryable,
  projectId: string,
  { status, event_trigger_id }: DeliveryFilter,
  page: PageRequest,
): Promise<Page<WebhookDelivery>> {
  const rows = await db.query<WebhookDelivery>(sql`
    SELECT ${columns} FROM webhook_deliveries d
    WHERE d.project_id = ${projectId} AND ${olderThan("deliveries", page)}
      AND ${ifGiven(status, (given) => sql`d.status = ${given}`)}
      AND ${ifGiven(event_trigger_id, (id) => sql`d.event_trigger_id = ${id}`)}
    ORDER BY d.id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("deliveries", page, rows);
}
