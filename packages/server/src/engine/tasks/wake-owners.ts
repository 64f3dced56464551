import { advanceWorkflowRun } from "../../service/advance-workflow-run.ts";
import type { Context } from "../../service/context.ts";
import { wakeOwner } from "../../service/wake-owner.ts";
import * as wakes from "../../store/wakes.ts";
import type { Task } from "../loop.ts";

const BATCH = 200;

/**
 * Works off wake rows from the top down, right after the commit that appended them: runs whose waits have ended, and
 * workflow runs of which a step has ended. One that fails does not hold up the others; its rows stand until it succeeds.
 */
export function wakeOwners(context: Context, onError: (error: unknown) => void): Task {
  return {
    name: "wake-owners",
    idleMs: 1_000,
    async tick() {
      const [runs, workflowRuns] = await Promise.all([
        wakes.runsToWake(context.db, BATCH),
        wakes.workflowRunsToAdvance(context.db, BATCH),
      ]);
      const done = await Promise.allSettled([
        ...runs.map((run) => wakeOwner(context, run.project_id, run.run_id)),
        ...workflowRuns.map((run) => advanceWorkflowRun(context, run.project_id, run.workflow_run_id)),
      ]);
      let handled = 0;
      for (const result of done) {
        if (result.status === "fulfilled") handled++;
        else onError(result.reason);
      }
      return { handled };
    },
  };
}
