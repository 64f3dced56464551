import type { ErrorIssue } from "@strait/contract";
import { filters, judgeBy, payloadSchemas } from "@strait/server/pure";

/** A server stops what customers have written when it takes too long; here it is the test's own. */
const unbounded = <Result>(_ms: number, _code: string, work: () => Result): Result => work();

const { filterIssue, passes } = filters(unbounded);
export const { payloadIssues, schemaIssue } = payloadSchemas(unbounded);

export const { decide, hears, misfits } = judgeBy({ passes, payloadIssues });

/** What is wrong with the terms of a wait, beyond the contract. */
export function termIssues({
  payload_schema,
  filter,
}: {
  readonly payload_schema: object | null;
  readonly filter: string | null;
}): ErrorIssue[] {
  const schema = payload_schema === null ? undefined : schemaIssue(payload_schema, "/payload_schema");
  const expression = filter === null ? undefined : filterIssue(filter, "/filter");
  return [schema, expression].filter((issue) => issue !== undefined);
}
