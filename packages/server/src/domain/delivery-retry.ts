import { deliveryRetryDelayMs } from "@strait/core";

/** What to do with a webhook delivery that failed. */
export type AfterDeliveryFailure =
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "dead_letter"; readonly because: "client_error" | "attempts_exhausted" };

/**
 * Decides what follows a failed webhook delivery.
 *
 * A 4xx answer is final: the receiver understood the request and refused it. Any other failure is tried again after
 * 5 s, 25 s, 125 s and 625 s, so the fifth failure is final too.
 *
 * @param failures - Failed attempts so far, this one included; 1 or more.
 * @param httpStatus - The receiver's answer, or `undefined` when there was none (timeout, refused connection).
 * @returns A delay in milliseconds, counted from now, or why the delivery is dead-lettered.
 * @throws {RangeError} When `failures` is not a positive integer, which is a bug in the caller.
 */
export function afterDeliveryFailure(failures: number, httpStatus: number | undefined): AfterDeliveryFailure {
  if (!Number.isInteger(failures) || failures < 1) throw new RangeError(`failures must be 1 or more, got ${failures}`);
  if (httpStatus !== undefined && httpStatus >= 400 && httpStatus < 500) {
    return { kind: "dead_letter", because: "client_error" };
  }
  const delayMs = deliveryRetryDelayMs(failures);
  return delayMs === undefined ? { kind: "dead_letter", because: "attempts_exhausted" } : { kind: "retry", delayMs };
}
