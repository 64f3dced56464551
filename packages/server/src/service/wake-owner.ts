import { waitEnded } from "../domain/reasons.ts";
import { effectOf } from "../domain/wait-effect.ts";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import * as wakes from "../store/wakes.ts";
import { type Context, SYSTEM } from "./context.ts";
import { LOCK_TIMEOUT_MS } from "./lane.ts";

/**
 * Works off the wake rows of one run, from the top down: locks the run, takes the rows, and reads how its waits ended in a
 * statement after the lock is held (K3). A run that no longer waits keeps its status.
 */
export async function wakeOwner({ db, signals, metrics }: Context, projectId: string, runId: string): Promise<void> {
  const isMoved = await db.transaction(
    async (tx) => {
      const fence = await runs.lockFence(tx, projectId, runId);
      const taken = await wakes.takeOfRun(tx, projectId, runId);
      if (fence?.status !== "waiting") return false;
      const [ended] = await wakes.endedWaits(
        tx,
        projectId,
        taken.map((wake) => wake.trigger_id),
      );
      if (!ended) return false;
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
