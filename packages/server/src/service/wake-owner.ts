import { waitEnded } from "../domain/reasons.ts";
import { effectOf } from "../domain/wait-effect.ts";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import * as wakes from "../store/wakes.ts";
import { type Context, SYSTEM } from "./context.ts";
import { LOCK_TIMEOUT_MS } from "./lane.ts";

/**
 * Works off the wake rows of one run, from the top down: locks the run, and then takes the rows with how its wait ended
 * (K3). A run that no longer waits keeps its status, and so does one whose wait still waits, whatever a row says.
 */
export async function wakeOwner({ db, signals, metrics }: Context, projectId: string, runId: string): Promise<void> {
  const isMoved = await db.transaction(
    async (tx) => {
      const fence = await runs.lockFence(tx, projectId, runId);
      const ended = await wakes.takeOfRun(tx, projectId, runId);
      if (fence?.status !== "waiting" || !ended) return false;
      const { move, resume_reason } = effectOf(ended);
      const moved = await runMoves.move(
        tx,
        move,
        [
          {
            project_id: projectId,
            id: runId,
            checkpoint: ended.checkpoint,
            checkpoint_source: ended.checkpoint === null ? null : "event_trigger",
            resume_reason,
            error: move === "resume" ? null : (ended.error ?? waitEnded(ended)),
            error_class: move === "timeOut" ? "timeout" : move === "fail" ? "reported" : null,
          },
        ],
        { actor: SYSTEM },
      );
      tx.afterCommit(() => metrics.runsMoved(moved));
      return moved.length > 0;
    },
    { lockTimeoutMs: LOCK_TIMEOUT_MS },
  );
  if (isMoved) signals.publish([`run:${runId}`, "queue", "wakes"]);
}
