import { type DeliveryStatus, deliveryStatuses } from "@strait/contract";
import { type Move, terminal } from "./moves.ts";

/** What can happen to a webhook delivery. A failed attempt with more to come is no move: the delivery stays `pending`. */
// biome-ignore format: a table reads by column
export const deliveryMoves = {
  /** The receiver answered 2xx. */
  deliver: { from: ["pending"],        to: "delivered" },
  /** It could not be sent at all, for instance because its URL is not allowed. */
  fail:    { from: ["pending"],        to: "failed" },
  /** The receiver refused it, or all attempts failed. */
  bury:    { from: ["pending"],        to: "dead" },
  /** Somebody asked for another try: attempts count from 0 again. */
  retry:   { from: ["failed", "dead"], to: "pending", reopens: true },
} as const satisfies Record<string, Move<DeliveryStatus>>;

export type DeliveryMove = keyof typeof deliveryMoves;

/** The statuses in which nothing more is sent by itself. */
export const terminalDeliveryStatuses = terminal(deliveryStatuses, deliveryMoves);

export function isTerminalDeliveryStatus(status: DeliveryStatus): boolean {
  return terminalDeliveryStatuses.includes(status);
}
