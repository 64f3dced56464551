import type { AuditAction, AuditEvent, AuditResourceType } from "@strait/contract";
import { actorOf } from "../domain/actor.ts";
import * as auditEvents from "../store/audit-events.ts";
import { CLOCKS_DIFFER_MS } from "../store/clock.ts";
import type { Transaction } from "../store/database.ts";
import type { Page, PageRequest } from "../store/page.ts";
import type { Caller, Context } from "./context.ts";

/**
 * Writes down who did what, in the transaction that does it.
 *
 * @param resourceIds - What it was done to, of the type that the action names; one row for each.
 * @param details - What else is worth knowing: of a change the names of the fields, not their values. A row is never
 *   changed, so nothing in it may be a secret or a payload.
 */
export async function audit(
  { clock }: Pick<Context, "clock">,
  tx: Transaction,
  { projectId, actor, channel, requestId }: Caller,
  action: AuditAction,
  resourceIds: readonly string[],
  details: object = {},
): Promise<void> {
  if (resourceIds.length === 0) return;
  const event = {
    ...auditEvents.actorColumns(actorOf(actor)),
    project_id: projectId,
    channel,
    action,
    resource_type: action.slice(0, action.indexOf(".")) as AuditResourceType,
    request_id: requestId,
    details: JSON.stringify(details),
  };
  const rows = resourceIds.map((resource_id) => ({ ...event, id: clock.newId("aud"), resource_id }));
  await auditEvents.insert(tx, rows);
}

export function listAuditEvents(
  { db, clock }: Context,
  { projectId }: Caller,
  filter: auditEvents.AuditFilter,
  page: PageRequest,
): Promise<Page<AuditEvent>> {
  const { from, to } = filter;
  const window = {
    firstId: from === undefined ? undefined : clock.firstId("aud", Date.parse(from) - CLOCKS_DIFFER_MS),
    endId: to === undefined ? undefined : clock.firstId("aud", Date.parse(to) + CLOCKS_DIFFER_MS),
  };
  return auditEvents.list(db, projectId, filter, window, page);
}
