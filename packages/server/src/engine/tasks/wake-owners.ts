import { StraitError } from "../../domain/errors.ts";
import { advanceWorkflowRun } from "../../service/advance-workflow-run.ts";
import type { Context } from "../../service/context.ts";
import { failWorkflowRun } from "../../service/fail-workflow-run.ts";
import { limiter } from "../../service/limiter.ts";
import { wakeOwner } from "../../service/wake-owner.ts";
import { isPassing } from "../../store/database.ts";
import * as wakes from "../../store/wakes.ts";
import type { Task, Tick } from "../loop.ts";
import { Setbacks } from "../setbacks.ts";

const BATCH = 200;
/** Transactions at once, so that requests find connections, too. */
const AT_ONCE = 4;
/** The last one half a minute after the first: a workflow run that fails then will not do better by itself. */
const MAX_TRIES = 6;

/**
 * Works off wake rows from the top down, right after the commit that appended them: runs whose waits have ended, and
 * workflow runs of which a step has ended. One that fails holds up nobody else: its rows stand, and it is tried again
 * later. A workflow run that fails for the same reason however often it is tried is ended.
 */
export function wakeOwners(context: Context, onError: (error: unknown) => void): Task {
  const atOnce = limiter(AT_ONCE);
  const runs = new Sweep<wakes.WakingRun>({
    page: (after) => wakes.runsToWake(context.db, after, BATCH),
    idOf: (run) => run.run_id,
    work: (run) => atOnce(() => wakeOwner(context, run.project_id, run.run_id)),
    onError: async (_, error) => onError(error),
  });
  const workflowRuns = new Sweep<wakes.AdvancingRun>({
    page: (after) => wakes.workflowRunsToAdvance(context.db, after, BATCH),
    idOf: (run) => run.workflow_run_id,
    work: (run) => atOnce(() => advanceWorkflowRun(context, run.project_id, run.workflow_run_id)),
    async onError(run, error, tries) {
      onError(error);
      if (tries < MAX_TRIES) return;
      await failWorkflowRun(context, run.project_id, run.workflow_run_id, whyItStops(error));
    },
  });
  return {
    name: "wake-owners",
    idleMs: 1_000,
    async tick() {
      const ticks = await Promise.all([runs.tick(), workflowRuns.tick()]);
      return { handled: ticks.reduce((sum, { handled }) => sum + handled, 0) };
    },
  };
}

/** Anything that is not ours is a bug or an outage, and for the log only. */
function whyItStops(error: unknown): string {
  const why = error instanceof StraitError ? error.message : "the server's log says why";
  return `the workflow run could not go on, and was tried ${MAX_TRIES} times: ${why}`;
}

interface SweepOptions<Owner> {
  /** The first owners behind `after`, in order; less than `BATCH` are the last. */
  page(after: Owner | undefined): Promise<readonly Owner[]>;
  idOf(owner: Owner): string;
  work(owner: Owner): Promise<void>;
  /** Told of an error that will not pass by itself, and which one in a row it is. */
  onError(owner: Owner, error: unknown, tries: number): Promise<void>;
}

/** Goes through all owners page by page, one each tick, and begins anew at the end. */
class Sweep<Owner> {
  readonly #options: SweepOptions<Owner>;
  readonly #setbacks = new Setbacks();
  #after: Owner | undefined;

  constructor(options: SweepOptions<Owner>) {
    this.#options = options;
  }

  async tick(): Promise<Tick> {
    const { page, idOf } = this.#options;
    const owners = await page(this.#after);
    const isLast = owners.length < BATCH;
    this.#after = isLast ? undefined : owners.at(-1);
    const due = owners.filter((owner) => this.#setbacks.isDue(idOf(owner)));
    const handled = await Promise.all(due.map((owner) => this.#handle(owner)));
    // A page of nothing but failures is no reason to pause before the next one.
    return { handled: isLast ? handled.filter(Boolean).length : owners.length };
  }

  async #handle(owner: Owner): Promise<boolean> {
    const { idOf, work, onError } = this.#options;
    const id = idOf(owner);
    try {
      await work(owner);
      this.#setbacks.forget(id);
      return true;
    } catch (error) {
      const passes = isPassing(error) || (error instanceof StraitError && error.code === "unavailable");
      const tries = this.#setbacks.note(id, !passes);
      if (!passes) await onError(owner, error, tries);
      return false;
    }
  }
}
