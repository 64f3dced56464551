import type { ErrorClass } from "@strait/contract";
import { type RetryPolicy, runRetryDelayMs } from "@strait/core";
import { isRetryable } from "./error-class.ts";

/** A dispatch that failed, and what its run may still do. */
export interface RunFailure extends RetryPolicy {
  /** The attempt that failed; 1 or more. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly errorClass: ErrorClass;
  /** What the executor said about it; undefined lets the class decide. */
  readonly retryable?: boolean | undefined;
}

/** The move that a failed dispatch leads to. */
export type AfterRunFailure =
  | { readonly move: "retry"; readonly delayMs: number }
  | { readonly move: "fail" }
  | { readonly move: "bury" };

/**
 * Decides what follows a failed dispatch: a retry while attempts are left, also when it failed in the same way before;
 * the dead letter queue when none is left; and plain failure when a retry is pointless.
 *
 * A dispatch that ran into the job's time limit is a failure like others. A run that was lost with its worker is not
 * decided here: it is dispatched again without costing an attempt.
 *
 * @param random - At least 0, below 1; spreads the delay.
 * @returns The delay in milliseconds, counted from now.
 */
export function afterRunFailure(failure: RunFailure, random: number): AfterRunFailure {
  const { attempt, maxAttempts, errorClass, retryable = isRetryable(errorClass) } = failure;
  if (!retryable) return { move: "fail" };
  if (attempt >= maxAttempts) return { move: "bury" };
  return { move: "retry", delayMs: runRetryDelayMs(failure, attempt, random) };
}
