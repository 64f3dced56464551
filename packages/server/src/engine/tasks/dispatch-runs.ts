import type { Database } from "../../store/database.ts";
import * as runQueue from "../../store/run-queue.ts";
import type { Dispatcher } from "../dispatcher.ts";
import type { LeaseKeeper } from "../lease-keeper.ts";
import type { Task } from "../loop.ts";

const EPOCH = "1970-01-01T00:00:00Z";
/** Heads taken of each (project, priority) pair, and pairs looked at, in one claim. */
const PER_PAIR = 64;
const MAX_PAIRS = 200;
const MAX_CLAIM = 200;
/** Entries are looked for from the very beginning this often, or after this many times what that costs. */
const LOOK_FROM_ZERO_MS = 1_000;
const LOOK_COST_FACTOR = 20;
/** An entry may become visible this long after another one with a later time. */
const FLOOR_SLACK_MS = 1_000;

/**
 * Claims queued runs and hands them to the dispatcher (Q1, Q3). Each pair is read from its floor, the time of what was
 * taken last: entries before it are dead, and reading past them again and again is what makes a queue slow while somebody
 * holds a snapshot open.
 */
export function dispatchRuns(db: Database, dispatcher: Dispatcher, lease: LeaseKeeper): Task {
  let floors = new Map<string, runQueue.QueuePair>();
  let lookedAt = Number.NEGATIVE_INFINITY;
  let lookCostMs = 0;
  let lastProject = "";

  const pairId = (pair: { project_id: string; priority: number }) => `${pair.project_id} ${pair.priority}`;

  /** The pairs that have something, beginning behind the project that was served last. */
  async function lookFromZero(): Promise<void> {
    const started = performance.now();
    const behind = await runQueue.queuedPairs(db, lastProject, MAX_PAIRS);
    const wrapped =
      behind.length < MAX_PAIRS && lastProject !== "" ? await runQueue.queuedPairs(db, "", MAX_PAIRS) : [];
    floors = new Map([...behind, ...wrapped].map((pair) => [pairId(pair), { ...pair, floor: EPOCH }]));
    lookedAt = performance.now();
    lookCostMs = lookedAt - started;
  }

  /** Beginning behind the project that was served last, so that everybody's turn comes. */
  function pairsInTurn(): runQueue.QueuePair[] {
    const pairs = [...floors.values()].sort((a, b) => (a.project_id < b.project_id ? -1 : 1));
    const next = pairs.findIndex((pair) => pair.project_id > lastProject);
    return (next === -1 ? pairs : [...pairs.slice(next), ...pairs.slice(0, next)]).slice(0, MAX_PAIRS);
  }

  function raiseFloors(claimed: readonly runQueue.QueuedClaim[]): void {
    const oldest = new Map<string, runQueue.QueuedClaim>();
    for (const run of claimed) {
      const first = oldest.get(pairId(run));
      if (first === undefined || run.ready_at < first.ready_at) oldest.set(pairId(run), run);
      lastProject = run.project_id;
    }
    for (const [id, { project_id, priority, ready_at }] of oldest) {
      const floor = new Date(Date.parse(ready_at) - FLOOR_SLACK_MS).toISOString();
      floors.set(id, { project_id, priority, floor });
    }
  }

  return {
    name: "dispatch-runs",
    idleMs: 1_000,
    async tick() {
      const room = Math.min(dispatcher.room, MAX_CLAIM);
      const leaseId = lease.claimable;
      if (room === 0 || leaseId === null) return { handled: 0 };
      const isStale = performance.now() - lookedAt > Math.max(LOOK_FROM_ZERO_MS, lookCostMs * LOOK_COST_FACTOR);
      const wasFresh = floors.size === 0 || isStale;
      if (wasFresh) await lookFromZero();
      const pairs = pairsInTurn();
      if (pairs.length === 0) {
        dispatcher.backlog = false;
        return { handled: 0 };
      }
      const { runs: claimed, dropped } = await runQueue.claim(db, pairs, Math.min(PER_PAIR, room), room, leaseId);
      if (claimed.length === 0) {
        // Nothing behind the floors does not mean nothing at all: the next tick looks from zero.
        floors.clear();
        return { handled: wasFresh ? dropped : 1 };
      }
      dispatcher.startClaimed(claimed);
      raiseFloors(claimed);
      return { handled: claimed.length };
    },
  };
}
