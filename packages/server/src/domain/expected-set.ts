import type { ExpectedSet } from "@strait/contract";

/** Whether a set is the one that a dry run has told of; what `expect` leaves out is not compared. */
export function isExpected(expect: ExpectedSet, found: { readonly count: number; readonly digest: string }): boolean {
  const { count = found.count, digest = found.digest } = expect;
  return count === found.count && digest === found.digest;
}
