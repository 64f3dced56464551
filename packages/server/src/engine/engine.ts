import type { Context } from "../service/context.ts";
import type { Topic } from "../store/channel.ts";
import type { Circuits } from "./circuits.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import { startLoop, type Task } from "./loop.ts";
import { deleteOldAuditEvents } from "./tasks/delete-old-audit-events.ts";
import { deleteOldEvents } from "./tasks/delete-old-events.ts";
import type { DeliverWebhooks } from "./tasks/deliver-webhooks.ts";
import { dispatchRuns } from "./tasks/dispatch-runs.ts";
import { emitDueEvents } from "./tasks/emit-due-events.ts";
import { expireBuffered } from "./tasks/expire-buffered.ts";
import { learnEstimates } from "./tasks/learn-estimates.ts";
import { purge } from "./tasks/purge.ts";
import { releaseScheduled } from "./tasks/release-scheduled.ts";
import { findStrays, rescueRuns } from "./tasks/rescue-runs.ts";
import { settleDueWaits } from "./tasks/settle-due-waits.ts";
import { wakeOwners } from "./tasks/wake-owners.ts";
import { watchDeadlines } from "./tasks/watch-deadlines.ts";

export interface EngineOptions {
  readonly context: Context;
  readonly dispatcher: Dispatcher;
  readonly lease: LeaseKeeper;
  readonly circuits: Circuits;
  readonly webhooks: DeliverWebhooks;
  readonly leaseMs: number;
  readonly eventRetentionMs: number;
  readonly auditRetentionMs: number;
  readonly drainTimeoutMs: number;
  readonly onError: (error: unknown, task: string) => void;
}

/** What happens by itself. */
export interface Engine {
  start(): void;
  /** Stops claiming, lets calls under way finish or puts their runs back, and ends the process's life. */
  stop(): Promise<void>;
  /** Every task by its name, so that a test can make one tick. */
  readonly tasks: ReadonlyMap<string, Task>;
}

export function createEngine(options: EngineOptions): Engine {
  const { context, dispatcher, lease, circuits, webhooks, leaseMs, onError } = options;
  const { db, signals } = context;
  const tasks: readonly Task[] = [
    dispatchRuns(db, dispatcher, lease),
    releaseScheduled(db, signals),
    settleDueWaits(context),
    emitDueEvents(context, (error) => onError(error, "emit-due-events")),
    expireBuffered(db),
    wakeOwners(context, (error) => onError(error, "wake-owners")),
    rescueRuns(context, leaseMs),
    findStrays(context, dispatcher, lease),
    watchDeadlines(context),
    circuits,
    webhooks,
    learnEstimates(db),
    purge(db),
    deleteOldEvents(context, options.eventRetentionMs),
    deleteOldAuditEvents(context, options.auditRetentionMs),
  ];
  /** Which hints wake which task. */
  const wakes: readonly (readonly [Topic, string])[] = [
    ["queue", "dispatch-runs"],
    ["schedule", "release-scheduled"],
    ["wakes", "wake-owners"],
    ["wakes", "emit-due-events"],
    ["deliveries", "deliver-webhooks"],
  ];
  let stopLoops = async () => {};

  return {
    tasks: new Map(tasks.map((task) => [task.name, task])),
    start() {
      const loops = new Map(tasks.map((task) => [task.name, startLoop(task, (_, error) => onError(error, task.name))]));
      const unsubscribe = wakes.map(([topic, name]) =>
        signals.subscribe(topic, () => {
          if (topic === "queue") dispatcher.backlog = true;
          loops.get(name)?.wake();
        }),
      );
      stopLoops = async () => {
        for (const stop of unsubscribe) stop();
        await Promise.all([...loops.values()].map((loop) => loop.stop()));
      };
    },
    async stop() {
      // Claiming first: what is released or woken meanwhile is a row, and another process takes it.
      await Promise.all([dispatcher.drain(options.drainTimeoutMs), webhooks.drain(options.drainTimeoutMs)]);
      await stopLoops();
      await circuits.idle();
      await lease.close();
    },
  };
}
