import type { Context } from "../../service/context.ts";
import { emitEvents } from "../../service/emit-events.ts";
import type { Task } from "../loop.ts";

const BATCH = 200;

/** Sends the events of completed steps, right after the commit that completed them. */
export function emitDueEvents(context: Context): Task {
  return {
    name: "emit-due-events",
    idleMs: 1_000,
    tick: async () => ({ handled: await emitEvents(context, BATCH) }),
  };
}
