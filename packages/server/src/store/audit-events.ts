import type { Actor, AuditAction, AuditChannel, AuditEvent, AuditResourceType } from "@strait/contract";
import type { Transaction } from "./database.ts";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { ifGiven, json, type Queryable, records, sql } from "./sql.ts";

export interface NewAuditEvent {
  readonly project_id: string;
  readonly actor: Actor;
  readonly channel: AuditChannel;
  readonly action: AuditAction;
  readonly resource_type: AuditResourceType;
  readonly request_id: string | null;
  readonly details: object;
}

/** Writes one row per resource. There is no statement that changes one. */
export async function insert(
  tx: Transaction,
  event: NewAuditEvent,
  resources: readonly { readonly id: string; readonly resource_id: string }[],
): Promise<void> {
  const { actor } = event;
  await tx.query(sql`
    INSERT INTO audit_events (project_id, id, actor_kind, actor_id, authenticated_by, channel, action, resource_type,
      resource_id, request_id, details)
    SELECT ${event.project_id}, id, ${actor.kind}, ${actor.id}, ${actor.authenticated_by}, ${event.channel}, ${event.action},
      ${event.resource_type}, resource_id, ${event.request_id}, ${json(event.details)}::json
    FROM ${records("i", { id: "text", resource_id: "text" }, resources)}`);
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
