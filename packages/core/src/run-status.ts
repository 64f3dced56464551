import { type RunStatus, runStatuses } from "@strait/contract";
import { type Move, terminal } from "./moves.ts";

/**
 * What can happen to a run. A run is born `queued`, `delayed`, `waiting` (its dependencies are open) or, when it is
 * claimed as it is inserted, `executing`.
 */
// biome-ignore format: a table reads by column
export const runMoves = {
  /** Its time has come. */
  release:   { from: ["delayed"],                                               to: "queued" },
  /** Claimed for a dispatch: attempt and dispatch number are fixed here. */
  start:     { from: ["queued", "dequeued"],                                    to: "executing" },
  /** Taken by a process but not sent: an open circuit, a drain. */
  hold:      { from: ["queued"],                                                to: "dequeued" },
  /** Never sent, so it costs no attempt. */
  putBack:   { from: ["dequeued", "executing"],                                 to: "queued" },
  wait:      { from: ["executing"],                                             to: "waiting" },
  /** A new dispatch of the same attempt. */
  resume:    { from: ["waiting"],                                               to: "queued" },
  /** The same, claimed at once by the process that settled the wait. */
  resumeNow: { from: ["waiting"],                                               to: "executing" },
  /** The next attempt, ready after a delay. */
  retry:     { from: ["executing"],                                             to: "queued" },
  complete:  { from: ["executing", "waiting"],                                  to: "completed" },
  /** Not to be retried: the executor said so, or the class of the error does. */
  fail:      { from: ["executing", "waiting"],                                  to: "failed" },
  /** The deadline of its wait, or its own; a dispatch that times out with attempts left is a `retry`. */
  timeOut:   { from: ["executing", "waiting"],                                  to: "timed_out" },
  /** Lost with its worker too often, or its job says `on_worker_lost: "crash"`. */
  crash:     { from: ["executing"],                                             to: "crashed" },
  /** The platform's fault: the job is gone, the snooze limit is reached. */
  giveUp:    { from: ["queued", "dequeued", "executing"],                       to: "system_failed" },
  /** Not started within its time to live. */
  expire:    { from: ["delayed", "queued"],                                     to: "expired" },
  cancel:    { from: ["delayed", "queued", "dequeued", "executing", "waiting"], to: "canceled" },
  /** Worth a retry, but no attempt is left. */
  bury:      { from: ["executing"],                                             to: "dead_letter" },
  /** Starts over at attempt 1. */
  replay:    { from: ["dead_letter"],                                           to: "queued", reopens: true },
} as const satisfies Record<string, Move<RunStatus>>;

export type RunMove = keyof typeof runMoves;

/** The statuses in which a run has ended; `dead_letter` is one, although `replay` leaves it. */
export const terminalRunStatuses = terminal(runStatuses, runMoves);

export function isTerminalRunStatus(status: RunStatus): boolean {
  return terminalRunStatuses.includes(status);
}
