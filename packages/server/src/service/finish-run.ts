import type { RunMove } from "@strait/core";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import { type Context, SYSTEM } from "./context.ts";
import { type Batched, done, Lane, LOCK_TIMEOUT_MS, type Outcome } from "./lane.ts";

/** How a dispatch ended, as a move of its run. */
export interface RunOutcome extends runMoves.RunMoveItem {
  readonly move: RunMove;
  readonly dispatch_seq: number;
  /** See `ClaimedRun`. */
  readonly stands_alone: boolean;
}

/**
 * What became of an outcome. `taken`: the dispatch took an event that its executor may not have looked at. `refused`: the
 * run has parked itself, or ended, or another dispatch has replaced this one; nothing changed.
 */
export type RunResult = "moved" | "taken" | "refused";

/** PostgreSQL itself ends a transaction that idles, and with it its locks, after 30 s. An outcome is not sent again. */
const PATIENCE_MS = 35_000;

/**
 * Ends dispatches, in batches: their outcome is conditional on the dispatch number, so a late one changes nothing. Only
 * executing runs move: one that has parked itself waits, whatever its last dispatch answers.
 *
 * A run that somebody holds is passed over, and waited for in a second lane, so that it holds up nobody else (L2).
 */
export function finishRunLane({
  db,
  signals,
  metrics,
}: Pick<Context, "db" | "signals" | "metrics">): Batched<RunOutcome, RunResult> {
  async function moveAll(outcomes: readonly RunOutcome[], skipLocked: boolean): Promise<ReadonlySet<string>> {
    const moved = new Set<string>();
    for (const [move, items] of byMove(outcomes)) {
      const standAlone = items.every((item) => item.stands_alone);
      const options = { actor: SYSTEM, only: ["executing"], skipLocked, standAlone } as const;
      const rows = skipLocked
        ? await runMoves.move(db, move, items, options)
        : await db.transaction((tx) => runMoves.move(tx, move, items, options), {
            lockTimeoutMs: LOCK_TIMEOUT_MS,
          });
      for (const row of rows) moved.add(row.id);
      metrics.runsMoved(rows);
      publish(rows);
    }
    return moved;
  }

  function publish(moved: readonly runMoves.MovedRun[]): void {
    signals.publish(
      moved.flatMap((run) => [
        `run:${run.id}` as const,
        ...(run.status === "queued" ? (["queue", "schedule"] as const) : []),
        ...(run.workflow_run_id === null ? [] : ([`workflow_run:${run.workflow_run_id}`, "wakes"] as const)),
      ]),
    );
  }

  async function end(outcomes: readonly RunOutcome[], skipLocked: boolean): Promise<Outcome<RunResult | "held">[]> {
    const moved = await moveAll(outcomes, skipLocked);
    const rest = outcomes.filter((outcome) => !moved.has(outcome.id));
    const fences = new Map((await runs.fences(db, rest)).map((fence) => [fence.id, fence]));
    return outcomes.map((outcome) => done(moved.has(outcome.id) ? "moved" : whyNot(outcome, fences.get(outcome.id))));
  }

  const lane = { sizeOf, subjectOf: ({ id }: RunOutcome) => id, patienceMs: PATIENCE_MS };
  const free = new Lane<RunOutcome, RunResult | "held">({ ...lane, run: (outcomes) => end(outcomes, true) });
  const blocked = new Lane<RunOutcome, RunResult | "held">({ ...lane, run: (outcomes) => end(outcomes, false) });
  return {
    async add(outcome) {
      const result = await free.add(outcome);
      if (result !== "held") return result;
      const later = await blocked.add(outcome);
      return later === "held" ? "refused" : later;
    },
    async idle() {
      await free.idle();
      await blocked.idle();
    },
  };
}

const sizeOf = ({ result, error }: RunOutcome): number => (result?.length ?? 0) + (error?.length ?? 0) + 100;

/** Why a run was passed over: the outcome comes too late, the run took an event, or somebody holds it. */
function whyNot(outcome: RunOutcome, fence: runs.RunFence | undefined): RunResult | "held" {
  if (fence?.status !== "executing" || fence.dispatch_seq !== outcome.dispatch_seq) return "refused";
  if (outcome.unless_detached && fence.detached) return "refused";
  return outcome.unless_taken && fence.taken_seq === outcome.dispatch_seq ? "taken" : "held";
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
    await runMoves.move(tx, "wait", [item], { actor: SYSTEM });
    await runMoves.move(tx, "resume", [{ ...item, resume_reason: "event" }], { actor: SYSTEM });
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
