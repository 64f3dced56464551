import { type OperationId, operations } from "@strait/contract";
import { type RequestChecks, requestChecks } from "../wire/request-checks.ts";

/** Every operation's checks, compiled when the server starts. */
export const checksOf: ReadonlyMap<OperationId, RequestChecks> = new Map(
  (Object.keys(operations) as OperationId[]).map((id) => [id, requestChecks(id)]),
);
