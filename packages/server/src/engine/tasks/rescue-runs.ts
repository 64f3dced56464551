import type { Context } from "../../service/context.ts";
import { SYSTEM } from "../../service/context.ts";
import * as leases from "../../store/leases.ts";
import * as runMoves from "../../store/run-moves.ts";
import type { Dispatcher } from "../dispatcher.ts";
import type { LeaseKeeper } from "../lease-keeper.ts";
import type { Task } from "../loop.ts";

const BATCH = 500;
/** More than any process executes at once (WORKER_CONCURRENCY is at most 100,000): strays may stand behind all of them. */
const MAX_HELD = 200_000;
/** A run lost more often than this with its worker is taken for what kills the workers. */
const MAX_LOST = 3;

/** Puts runs of dead processes back into the queue. Costs no attempt: the run did nothing wrong, as far as anybody knows. */
export function rescueRuns({ db, signals, metrics }: Context, leaseMs: number): Task {
  async function sweep(leaseId: number): Promise<number> {
    const lost = await leases.runsOf(db, leaseId, BATCH);
    await putBack(lost);
    await leases.swept(db, leaseId, lost.length > 0);
    return lost.length;
  }

  async function putBack(lost: readonly leases.LostRun[]): Promise<void> {
    const isHopeless = (run: leases.LostRun) => run.on_worker_lost === "crash" || run.lost_count >= MAX_LOST;
    const crashed = lost.filter(isHopeless).map((run) => ({
      ...run,
      error: run.on_worker_lost === "crash" ? "the worker was lost" : `the worker was lost ${MAX_LOST + 1} times`,
      error_class: "lost",
    }));
    const saved = lost
      .filter((run) => !isHopeless(run))
      .map((run) => ({ ...run, resume_reason: "lost", counts_as_lost: true, unless_detached: true }));
    if (crashed.length > 0) metrics.runsMoved(await runMoves.move(db, "crash", crashed, { actor: SYSTEM }));
    if (saved.length > 0) await runMoves.move(db, "putBack", saved, { actor: SYSTEM });
    if (lost.length > 0) signals.publish(["queue", "wakes", ...lost.map((run) => `run:${run.id}` as const)]);
  }

  return {
    name: "rescue-runs",
    idleMs: leaseMs / 5,
    async tick() {
      await leases.bury(db);
      let handled = 0;
      for (const { id } of await leases.toSweep(db, BATCH)) handled += await sweep(id);
      return { handled };
    },
  };
}

/**
 * Compares what the database says that this process executes with what it does. A run that it never heard of is put back:
 * the commit that claimed it was acknowledged to nobody. It must be seen twice, since a claim is committed before it is known.
 * The other way round, the call of a run that was canceled by another process is aborted.
 */
export function findStrays({ db, signals }: Context, dispatcher: Dispatcher, lease: LeaseKeeper): Task {
  let suspected = new Set<string>();
  return {
    name: "find-strays",
    idleMs: 10_000,
    async tick() {
      const unknown: leases.LostRun[] = [];
      for (const id of lease.held) {
        const claimed = await leases.runsOf(db, id, MAX_HELD);
        unknown.push(...claimed.filter((run) => !dispatcher.holds(run)));
      }
      const strays = unknown.filter((run) => suspected.has(`${run.id} ${run.dispatch_seq}`));
      suspected = new Set(unknown.map((run) => `${run.id} ${run.dispatch_seq}`));
      await dispatcher.abortOrphans(db);
      if (strays.length > 0) {
        const items = strays.map(({ project_id, id, dispatch_seq }) => ({
          project_id,
          id,
          dispatch_seq,
          resume_reason: "lost",
          unless_detached: true,
        }));
        await runMoves.move(db, "putBack", items, { actor: SYSTEM });
        signals.publish(["queue"]);
      }
      return { handled: 0 };
    },
  };
}
