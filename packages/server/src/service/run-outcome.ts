import type { RetryStrategy, Run } from "@strait/contract";
import { isTerminalRunStatus, type RunMove } from "@strait/core";
import { illegalMove, notFound } from "../domain/errors.ts";
import { checkFence } from "../domain/run-fence.ts";
import { afterRunFailure } from "../domain/run-retry.ts";
import * as jobs from "../store/jobs.ts";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import { cancelWaitsOf } from "./cancel-run.ts";
import type { Context } from "./context.ts";
import { announceSettled } from "./settle-waits.ts";
import type { RunCaller } from "./wait-for-event.ts";

/**
 * Completes the calling run. A repeat by the same dispatch answers with the run as it is.
 *
 * @throws {StraitError} `stale_dispatch`; `run_closed` when it ended otherwise.
 */
export function completeRun(context: Context, caller: RunCaller, result: unknown): Promise<Run> {
  return endRun(context, caller, "completed", () => ({ move: "complete", item: { result: JSON.stringify(result) } }));
}

/**
 * Ends the calling run's attempt as failed: another attempt follows while there is one, unless the caller says that it
 * would be of no use.
 */
export function failRun(context: Context, caller: RunCaller, error: string, retryable: boolean): Promise<Run> {
  return endRun(context, caller, "failed", (run, policy) => {
    const after = afterRunFailure(
      {
        ...policy,
        attempt: run.attempt,
        maxAttempts: run.max_attempts,
        errorClass: "reported",
        retryable,
      },
      Math.random(),
    );
    const item = { error, error_class: "reported", delay_ms: after.move === "retry" ? after.delayMs : null };
    return { move: after.move, item };
  });
}

interface Policy {
  readonly strategy: RetryStrategy;
  readonly delaysSecs: readonly number[];
}

async function endRun(
  context: Context,
  caller: RunCaller,
  repeatOf: "completed" | "failed",
  decide: (run: Run, policy: Policy) => { move: RunMove; item: Partial<runMoves.RunMoveItem> },
): Promise<Run> {
  const { db, signals, worker } = context;
  const { projectId, runId, dispatchSeq, actor } = caller;
  const { run, settled } = await db.transaction(async (tx) => {
    const fence = await runs.lockFence(tx, projectId, runId);
    const current = await runs.find(tx, projectId, runId);
    if (!fence || !current) throw notFound("run", runId);
    if (fence.status === repeatOf && fence.dispatch_seq === dispatchSeq) return { run: current, settled: [] };
    checkFence(caller, fence);
    const job = await jobs.findAny(tx, projectId, current.job_id);
    const policy: Policy = { strategy: job?.retry_strategy ?? "exponential", delaysSecs: job?.retry_delays_secs ?? [] };
    const { move, item } = decide(current, policy);
    const moved = await runMoves.move(tx, move, [{ ...item, project_id: projectId, id: runId }], { actor });
    if (moved.length === 0) throw illegalMove("run", runId, fence.status, move);
    tx.afterCommit(() => context.metrics.runsMoved(moved));
    const ended = isTerminalRunStatus(moved[0]?.status ?? "completed");
    const waits = ended
      ? await cancelWaitsOf(context, tx, caller, { job_run_id: runId }, `the run is ${moved[0]?.status}`)
      : [];
    return { run: (await runs.find(tx, projectId, runId)) ?? current, settled: waits };
  });
  worker.abort(projectId, runId);
  announceSettled(context, settled);
  signals.publish([`run:${runId}`, "queue", "schedule", "wakes"]);
  return run;
}
