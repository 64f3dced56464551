import type { RetryStrategy } from "@strait/contract";

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const JITTER = 0.2;

/** When a run is tried again: the job's part of {@link runRetryDelayMs}. */
export interface RetryPolicy {
  readonly strategy: RetryStrategy;
  /** Seconds, for `custom`: the delay behind each attempt, the last one repeated. Empty means `exponential`. */
  readonly delaysSecs: readonly number[];
}

/**
 * How long a run waits behind a failed attempt: 1 s doubled each time up to 1 h (`exponential`), 1 s more each time up
 * to 1 h (`linear`), 1 s (`fixed`), or what its job lists (`custom`), at least 1 s; then ±20 %, so that runs that
 * failed together do not come back together.
 *
 * @param attempt - The attempt that failed; 1 or more.
 * @param random - At least 0, below 1: `Math.random()`, or a fixed number in a test.
 * @returns Whole milliseconds.
 */
export function runRetryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const delayMs = Math.max(SECOND_MS, plainDelayMs(policy, attempt));
  return Math.round(delayMs * (1 - JITTER + 2 * JITTER * random));
}

function plainDelayMs({ strategy, delaysSecs }: RetryPolicy, attempt: number): number {
  switch (strategy) {
    case "linear":
      return Math.min(SECOND_MS * attempt, HOUR_MS);
    case "fixed":
      return SECOND_MS;
    case "custom": {
      const secs = delaysSecs[Math.min(attempt, delaysSecs.length) - 1];
      return secs === undefined ? exponentialMs(attempt) : secs * SECOND_MS;
    }
    case "exponential":
      return exponentialMs(attempt);
  }
}

function exponentialMs(attempt: number): number {
  return Math.min(SECOND_MS * 2 ** (attempt - 1), HOUR_MS);
}

const DELIVERY_DELAYS_MS = [5_000, 25_000, 125_000, 625_000] as const;

/** How often a webhook is sent before it is dead-lettered. */
export const MAX_DELIVERY_ATTEMPTS = DELIVERY_DELAYS_MS.length + 1;

/**
 * How long a webhook delivery waits behind a failure: 5, 25, 125 and 625 s, a public promise and therefore exact.
 *
 * @param failures - Failed attempts so far; 1 or more.
 * @returns Milliseconds, or `undefined` when that was the last attempt.
 */
export function deliveryRetryDelayMs(failures: number): number | undefined {
  return DELIVERY_DELAYS_MS[failures - 1];
}
