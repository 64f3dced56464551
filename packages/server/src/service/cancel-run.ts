import type { Run } from "@strait/contract";
import { isTerminalRunStatus } from "@strait/core";
import { illegalMove, notFound } from "../domain/errors.ts";
import { canceledBecause } from "../domain/reasons.ts";
import type { Transaction } from "../store/database.ts";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import type * as settlements from "../store/settlements.ts";
import * as triggers from "../store/triggers.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";
import { announceSettled, settleWaits } from "./settle-waits.ts";

/**
 * Cancels a run that has not ended, with its waits (R6), and aborts the call to its executor.
 *
 * @throws {StraitError} `not_found`; `illegal_move` when the run has ended.
 */
export async function cancelRun(
  context: Context,
  caller: Caller,
  id: string,
  reason: string | undefined,
): Promise<Run> {
  const settled = await context.db.transaction(async (tx) => {
    const fence = await runs.lockFence(tx, caller.projectId, id);
    if (!fence) throw notFound("run", id);
    if (isTerminalRunStatus(fence.status)) throw illegalMove("run", id, fence.status, "cancel");
    const error = canceledBecause("run", reason);
    const moved = await runMoves.move(tx, "cancel", [{ project_id: caller.projectId, id, error }], {
      actor: caller.actor,
    });
    tx.afterCommit(() => context.metrics.runsMoved(moved));
    await audit(context, tx, caller, "run.cancel", [id], { reason: reason ?? null });
    return cancelWaitsOf(context, tx, caller, { job_run_id: id }, error);
  });
  context.worker.abort(caller.projectId, id);
  announceSettled(context, settled);
  context.signals.publish([`run:${id}`, "wakes"]);
  const run = await runs.find(context.db, caller.projectId, id);
  if (!run) throw notFound("run", id);
  return run;
}

/** Ends what a run or a workflow run still waits for, together with it. The caller holds its row. */
export async function cancelWaitsOf(
  context: Context,
  tx: Transaction,
  caller: Pick<Caller, "projectId" | "actor">,
  owner: { readonly job_run_id: string } | { readonly workflow_run_id: string },
  error: string,
): Promise<settlements.SettledTrigger[]> {
  const waiting = await triggers.waitingOf(tx, caller.projectId, owner);
  if (waiting.length === 0) return [];
  const ends = waiting.map(({ id }) => ({ projectId: caller.projectId, triggerId: id, actor: caller.actor, error }));
  const canceled = await settleWaits(context, tx, "cancel", false, ends);
  // A wait whose deadline has passed unnoticed times out, whoever notices (R2).
  const overdue = await settleWaits(context, tx, "timeOut", true, ends);
  return [...canceled, ...overdue];
}
