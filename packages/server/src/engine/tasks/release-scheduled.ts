import type { Signals } from "../../store/channel.ts";
import type { Database } from "../../store/database.ts";
import * as deadlines from "../../store/run-deadlines.ts";
import * as runQueue from "../../store/run-queue.ts";
import type { Task } from "../loop.ts";

const BATCH = 500;
const HORIZON_MS = 1_000;

/** Moves runs whose time has come to the queue: delayed ones, and retries that have backed off. */
export function releaseScheduled(db: Database, signals: Signals): Task {
  return {
    name: "release-scheduled",
    idleMs: HORIZON_MS,
    async tick() {
      const released = await runQueue.releaseDue(db, BATCH);
      if (released.length > 0) signals.publish(["queue", ...released.map((run) => `run:${run.id}` as const)]);
      return { handled: released.length, nextMs: await deadlines.msUntilDue(db, "schedule", HORIZON_MS) };
    },
  };
}
