import { type StepStatus, stepStatuses } from "@strait/contract";
import { type Move, terminal } from "./moves.ts";

/**
 * What can happen to a step of a workflow run. `pending` means that dependencies are open, `waiting` that the step is
 * parked on an event or a sleep: only pending steps are candidates for starting.
 */
// biome-ignore format: a table reads by column
export const stepMoves = {
  start:    { from: ["pending"],                       to: "running" },
  park:     { from: ["pending"],                       to: "waiting" },
  /** From `pending` when the event was there before the wait. */
  complete: { from: ["pending", "waiting", "running"], to: "completed" },
  /** From `pending` when the step could not start: an unresolved placeholder, a key in use. */
  fail:     { from: ["pending", "waiting", "running"], to: "failed" },
  skip:     { from: ["pending"],                       to: "skipped" },
  cancel:   { from: ["pending", "waiting", "running"], to: "canceled" },
} as const satisfies Record<string, Move<StepStatus>>;

export type StepMove = keyof typeof stepMoves;

/** The statuses in which a step has ended. */
export const terminalStepStatuses = terminal(stepStatuses, stepMoves);

export function isTerminalStepStatus(status: StepStatus): boolean {
  return terminalStepStatuses.includes(status);
}
