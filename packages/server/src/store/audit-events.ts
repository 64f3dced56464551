import type { Actor, AuditAction, AuditChannel, AuditEvent, AuditResourceType } from "@strait/contract";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { ago, ifGiven, type Queryable, records, sql } from "./sql.ts";

export interface NewAuditEvent {
  readonly project_id: string;
  readonly id: string;
  readonly actor_kind: Actor["kind"];
  readonly actor_id: string | null;
  readonly authenticated_by: Actor["authenticated_by"];
  readonly channel: AuditChannel;
  readonly action: AuditAction;
  readonly resource_type: AuditResourceType;
  readonly resource_id: string;
  readonly request_id: string | null;
  /** JSON. */
  readonly details: string;
}

const newTypes = {
  project_id: "text",
  id: "text",
  actor_kind: "text",
  actor_id: "text",
  authenticated_by: "text",
  channel: "text",
  action: "text",
  resource_type: "text",
  resource_id: "text",
  request_id: "text",
  details: "json",
} as const satisfies Record<keyof NewAuditEvent, string>;

export const actorColumns = ({
  kind,
  id,
  authenticated_by,
}: Actor): Pick<NewAuditEvent, "actor_kind" | "actor_id" | "authenticated_by"> => ({
  actor_kind: kind,
  actor_id: id,
  authenticated_by,
});

/** There is no statement that changes a row. */
export async function insert(db: Queryable, rows: readonly NewAuditEvent[]): Promise<void> {
  await db.query(sql`
    INSERT INTO audit_events (project_id, id, actor_kind, actor_id, authenticated_by, channel, action, resource_type,
      resource_id, request_id, details)
    SELECT project_id, id, actor_kind, actor_id, authenticated_by, channel, action, resource_type, resource_id, request_id,
      details
    FROM ${records("i", newTypes, rows)}`);
}

/**
 * Deletes rows of a project beyond their retention: at most `limit`, those that somebody has at hand left out.
 *
 * @param endId - No row that is old enough has a larger id.
 * @returns How many.
 */
export async function removeOld(
  db: Queryable,
  projectId: string,
  secs: number,
  endId: string,
  limit: number,
): Promise<number> {
  const [row] = await db.query<{ n: number }>(sql`
    WITH gone AS (
      DELETE FROM audit_events WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM audit_events
        WHERE project_id = ${projectId} AND id < ${endId} AND created_at < ${ago(secs)}
        ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED))
      RETURNING 1)
    SELECT count(*)::int4 AS n FROM gone`);
  return row?.n ?? 0;
}

/** What an act must be like to be listed. */
export interface AuditFilter {
  readonly actor_kind?: Actor["kind"];
  readonly actor_id?: string;
  readonly action?: AuditAction;
  readonly resource_type?: AuditResourceType;
  readonly resource_id?: string;
  /** RFC 3339. */
  readonly from?: string;
  readonly to?: string;
}

/**
 * What was done in a project, newest first.
 *
 * @param window - Ids that nothing before `from`, or nothing since `to`, can have: the pages are in the order of ids.
 */
export async function list(
  db: Queryable,
  projectId: string,
  filter: AuditFilter,
  window: { readonly firstId?: string | undefined; readonly endId?: string | undefined },
  page: PageRequest,
): Promise<Page<AuditEvent>> {
  const rows = await db.query<AuditEvent>(sql`
    SELECT id, project_id, channel, action, resource_type, resource_id, request_id, details, created_at,
      json_build_object('kind', actor_kind, 'id', actor_id, 'authenticated_by', authenticated_by) AS actor
    FROM audit_events
    WHERE project_id = ${projectId} AND ${olderThan("audit-events", page)}
      AND ${ifGiven(filter.actor_kind, (kind) => sql`actor_kind = ${kind}`)}
      AND ${ifGiven(filter.actor_id, (id) => sql`actor_id = ${id}`)}
      AND ${ifGiven(filter.action, (action) => sql`action = ${action}`)}
      AND ${ifGiven(filter.resource_type, (type) => sql`resource_type = ${type}`)}
      AND ${ifGiven(filter.resource_id, (id) => sql`resource_id = ${id}`)}
      AND ${ifGiven(filter.from, (from) => sql`created_at >= ${from}::timestamptz`)}
      AND ${ifGiven(filter.to, (to) => sql`created_at < ${to}::timestamptz`)}
      AND ${ifGiven(window.firstId, (id) => sql`id >= ${id}`)}
      AND ${ifGiven(window.endId, (id) => sql`id < ${id}`)}
    ORDER BY id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("audit-events", page, rows);
}
