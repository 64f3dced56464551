import type { AcceptBuffered } from "@strait/contract";

/**
 * Since when events may answer a wait; null for any, "none" for none.
 *
 * @param started - When the run or workflow run was created that waits.
 */
export function bufferedSince(accept: AcceptBuffered, started: string): string | null {
  if (accept === "since_run_start") return started;
  return accept === "none" ? "none" : null;
}
