import { type WorkflowRunStatus, workflowRunStatuses } from "@strait/contract";
import { type Move, terminal } from "./moves.ts";

/** What can happen to a workflow run. While it is `paused`, running steps go on and no new ones start. */
// biome-ignore format: a table reads by column
export const workflowRunMoves = {
  start:    { from: ["pending"],                      to: "running" },
  pause:    { from: ["running"],                      to: "paused" },
  resume:   { from: ["paused"],                       to: "running" },
  complete: { from: ["running", "paused"],            to: "completed" },
  fail:     { from: ["running", "paused"],            to: "failed" },
  timeOut:  { from: ["running", "paused"],            to: "timed_out" },
  cancel:   { from: ["pending", "running", "paused"], to: "canceled" },
} as const satisfies Record<string, Move<WorkflowRunStatus>>;

export type WorkflowRunMove = keyof typeof workflowRunMoves;

/** The statuses in which a workflow run has ended. */
export const terminalWorkflowRunStatuses = terminal(workflowRunStatuses, workflowRunMoves);

export function isTerminalWorkflowRunStatus(status: WorkflowRunStatus): boolean {
  return terminalWorkflowRunStatuses.includes(status);
}
