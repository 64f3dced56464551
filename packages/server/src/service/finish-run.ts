import type { RunMove } from "@strait/core";
import * as runs from "../store/runs.ts";
import { type Context, SYSTEM } from "./context.ts";
import { type Batched, done, Lane } from "./lane.ts";

/** How a dispatch ended, as a move of its run. */
export interface RunOutcome extends runs.RunMoveItem {
  readonly move: RunMove;
  readonly dispatch_seq: number;
}

/**
 * What became of an outcome. `taken`: the dispatch took an event that its executor may not have looked at. `refused`: the
 * run has parked itself, or ended, or another dispatch has replaced this one; nothing changed.
 */
export type RunResult = "moved" | "taken" | "refused";

/**
 * Ends dispatches, in batches: their outcome is conditional on the dispatch number, so a late one changes nothing. Only
 * executing runs move: one that has parked itself waits, whatever its last dispatch answers.
 *
 * A run that somebody holds is passed over in the batch and waited for in a statement of its own (L2).
 */
export function finishRunLane({ db, signals }: Pick<Context, "db" | "signals">): Batched<RunOutcome, RunResult> {
  async function moveAll(outcomes: readonly RunOutcome[], skipLocked: boolean): Promise<ReadonlySet<string>> {
    const moved = new Set<string>();
    for (const [move, items] of byMove(outcomes)) {
      const rows = await runs.move(db, move, items, { actor: SYSTEM, only: ["executing"], skipLocked });
      for (const row of rows) moved.add(row.id);
      publish(rows);
    }
    return moved;
  }

  function publish(moved: readonly runs.MovedRun[]): void {
    signals.publish(
      moved.flatMap((run) => [
        `run:${run.id}` as const,
        ...(run.status === "queued" ? (["queue", "schedule"] as const) : []),
        ...(run.workflow_run_id === null ? [] : ([`workflow_run:${run.workflow_run_id}`, "wakes"] as const)),
      ]),
    );
  }

  /** Why a run was passed over: somebody held it, it took an event, or the outcome comes too late. */
  async function secondLook(outcome: RunOutcome, fence: runs.RunFence | undefined): Promise<RunResult> {
    if (fence?.status !== "executing" || fence.dispatch_seq !== outcome.dispatch_seq) return "refused";
    if (outcome.unless_taken && fence.taken_seq === outcome.dispatch_seq) return "taken";
    return (await moveAll([outcome], false)).size > 0 ? "moved" : "refused";
  }

  return new Lane<RunOutcome, RunResult>({
    sizeOf: (outcome) => (outcome.result?.length ?? 0) + (outcome.error?.length ?? 0) + 100,
    async run(outcomes) {
      const moved = await moveAll(outcomes, true);
      const rest = outcomes.filter((outcome) => !moved.has(outcome.id));
      const fences = new Map((await runs.fences(db, rest)).map((fence) => [fence.id, fence]));
      const results = new Map<RunOutcome, RunResult>();
      for (const outcome of rest) results.set(outcome, await secondLook(outcome, fences.get(outcome.id)));
      return outcomes.map((outcome) => done(results.get(outcome) ?? "moved"));
    },
  });
}

/**
 * Dispatches a run again whose executor returned after its wait had taken a buffered event: the two moves that parking
 * would have made, so that the next dispatch finds the event as every other does. False: there was nothing of the kind.
 */
export async function resumeTaken(
  { db, signals }: Context,
  projectId: string,
  id: string,
  dispatchSeq: number,
): Promise<boolean> {
  const isResumed = await db.transaction(async (tx) => {
    const fence = await runs.lockFence(tx, projectId, id);
    if (fence?.status !== "executing" || fence.dispatch_seq !== dispatchSeq || fence.taken_seq !== dispatchSeq)
      return false;
    const item = { project_id: projectId, id, dispatch_seq: dispatchSeq };
    await runs.move(tx, "wait", [item], { actor: SYSTEM });
    await runs.move(tx, "resume", [{ ...item, resume_reason: "event" }], { actor: SYSTEM });
    return true;
  });
  if (isResumed) signals.publish([`run:${id}`, "queue"]);
  return isResumed;
}

function byMove(outcomes: readonly RunOutcome[]): Map<RunMove, RunOutcome[]> {
  const groups = new Map<RunMove, RunOutcome[]>();
  for (const outcome of outcomes) {
    const group = groups.get(outcome.move);
    if (group) group.push(outcome);
    else groups.set(outcome.move, [outcome]);
  }
  return groups;
}
