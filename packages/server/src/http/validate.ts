import { type OperationId, operations } from "@strait/contract";
import { type RequestChecks, requestChecks } from "../wire/request-checks.ts";

/** Every operation's checks, compiled when the server starts. */
const checks = Object.fromEntries(
  (Object.keys(operations) as OperationId[]).map((id) => [id, requestChecks(id)]),
) as Readonly<Record<OperationId, RequestChecks>>;

export const checksOf = (id: OperationId): RequestChecks => checks[id];
