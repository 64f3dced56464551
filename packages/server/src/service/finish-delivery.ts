import type { DeliveryMove } from "@strait/core";
import { afterDeliveryFailure } from "../domain/delivery-retry.ts";
import * as deliveries from "../store/deliveries.ts";
import { type Context, SYSTEM } from "./context.ts";

/** What became of an attempt. */
export type DeliveryResult =
  | { readonly kind: "answer"; readonly status: number }
  | { readonly kind: "no_answer"; readonly error: string }
  /** Nothing was sent, and nothing will be: the URL is not allowed. */
  | { readonly kind: "refused"; readonly error: string };

/**
 * Writes down what became of an attempt: delivered, given up, or due again after 5, 25, 125 or 625 s. A worker that comes
 * too late, when somebody else has claimed the delivery, changes nothing.
 */
export async function finishDelivery(
  { db, metrics }: Pick<Context, "db" | "metrics">,
  { project_id, id, claim_seq, attempts }: deliveries.ClaimedDelivery,
  result: DeliveryResult,
): Promise<void> {
  const end = {
    project_id,
    id,
    claim_seq,
    status_code: result.kind === "answer" ? result.status : null,
    error: errorOf(result),
    actor: SYSTEM,
  };
  const next = whatFollows(attempts + 1, result);
  metrics.delivered(next === "deliver" ? "delivered" : typeof next === "string" ? "given_up" : "retried");
  if (typeof next === "string") await deliveries.move(db, next, end);
  else await deliveries.postpone(db, end, next.delayMs);
}

function whatFollows(attempt: number, result: DeliveryResult): DeliveryMove | { readonly delayMs: number } {
  if (result.kind === "refused") return "fail";
  const status = result.kind === "answer" ? result.status : undefined;
  if (status !== undefined && isSuccess(status)) return "deliver";
  const after = afterDeliveryFailure(attempt, status);
  return after.kind === "retry" ? after : "bury";
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

function errorOf(result: DeliveryResult): string | null {
  if (result.kind !== "answer") return result.error;
  if (isSuccess(result.status)) return null;
  const isRedirect = result.status >= 300 && result.status < 400;
  return `the receiver answered ${result.status}${isRedirect ? ", and redirects are not followed" : ""}`;
}
