import type { ErrorIssue } from "@strait/contract";
import { filters, judgeBy, payloadSchemas, validationError } from "@strait/server/pure";

/** A server stops what customers have written when it takes too long; here it is the test's own. */
const unbounded = <Result>(_ms: number, _code: string, work: () => Result): Result => work();

const { filterIssue, passes } = filters(unbounded);
const { schemaIssue, payloadIssues } = payloadSchemas(unbounded);

export { payloadIssues };
export const { decide, hears, misfits } = judgeBy({ passes, payloadIssues });

/** What a wait asks of an event, or a job of the payloads that it takes. */
interface Terms {
  readonly payload_schema: object | null;
  readonly filter?: string | null;
}

/**
 * What is wrong with such terms, beyond the contract.
 *
 * @param base - A pointer to where they stand.
 */
export function termIssues({ payload_schema, filter = null }: Terms, base: string): ErrorIssue[] {
  const schema = payload_schema === null ? undefined : schemaIssue(payload_schema, `${base}/payload_schema`);
  const expression = filter === null ? undefined : filterIssue(filter, `${base}/filter`);
  return [schema, expression].filter((issue) => issue !== undefined);
}

/** @throws When something is wrong with the terms of a request. */
export function checkTerms(terms: Terms): void {
  refuse(termIssues(terms, ""));
}

/** @throws When there are issues. */
export function refuse([first, ...others]: readonly ErrorIssue[]): void {
  if (first) throw validationError([first, ...others]);
}
