import { listAuditEvents } from "../../service/audit.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

export const auditEventsRoutes: HandlersOf<"audit-events"> = {
  getV1AuditEvents: ({ context, caller, query }) => listAuditEvents(context, caller, query, pageOf(query)),
};
