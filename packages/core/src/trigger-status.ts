import { type TriggerStatus, triggerStatuses } from "@strait/contract";
import { type Move, terminal } from "./moves.ts";

/** What can happen to an event trigger. Everything leaves `waiting`, so exactly one thing does. */
// biome-ignore format: a table reads by column
export const triggerMoves = {
  /** The event came, or the sleep is over. */
  receive:   { from: ["waiting"], to: "received" },
  timeOut:   { from: ["waiting"], to: "timed_out" },
  cancel:    { from: ["waiting"], to: "canceled" },
  /** Somebody answered that there is no answer. Only a payload is `received`, so a rejection is never taken for one. */
  reject:    { from: ["waiting"], to: "canceled" },
  /** A newer wait on the same key replaced it. */
  supersede: { from: ["waiting"], to: "superseded" },
} as const satisfies Record<string, Move<TriggerStatus>>;

export type TriggerMove = keyof typeof triggerMoves;

/** The statuses in which a trigger has settled. */
export const terminalTriggerStatuses = terminal(triggerStatuses, triggerMoves);

export function isTerminalTriggerStatus(status: TriggerStatus): boolean {
  return terminalTriggerStatuses.includes(status);
}
