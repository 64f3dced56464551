import { type Context, SYSTEM } from "../../service/context.ts";
import * as deadlines from "../../store/run-deadlines.ts";
import * as runMoves from "../../store/run-moves.ts";
import { outcomeOfFailure } from "../dispatch-outcome.ts";
import type { Task } from "../loop.ts";

const BATCH = 200;
const HORIZON_MS = 1_000;

/** Ends what should have happened by now: a run that did not start in time, one that went on by itself and fell silent. */
export function watchDeadlines({ db, signals, metrics }: Context): Task {
  return {
    name: "watch-deadlines",
    idleMs: HORIZON_MS,
    async tick() {
      const due = await db.transaction(async (tx) => {
        const taken = await deadlines.take(tx, BATCH);
        const moved: runMoves.MovedRun[] = [];
        tx.afterCommit(() => metrics.runsMoved(moved));
        for (const run of taken) {
          const key = { project_id: run.project_id, id: run.run_id };
          if (run.kind === "expire") {
            const item = { ...key, error: "the run did not start within its time to live" };
            moved.push(...(await runMoves.move(tx, "expire", [item], { actor: SYSTEM })));
          } else {
            const message = "the run gave no sign of life within the job's timeout_secs";
            const { move, ...outcome } = outcomeOfFailure(run, { error_class: "timeout", message });
            const item = { ...key, ...outcome, dispatch_seq: run.dispatch_seq };
            moved.push(...(await runMoves.move(tx, move, [item], { actor: SYSTEM })));
          }
        }
        return taken;
      });
      if (due.length > 0) {
        signals.publish(["queue", "schedule", "wakes", ...due.map((run) => `run:${run.run_id}` as const)]);
      }
      return { handled: due.length, nextMs: await deadlines.msUntilDue(db, "deadlines", HORIZON_MS) };
    },
  };
}
