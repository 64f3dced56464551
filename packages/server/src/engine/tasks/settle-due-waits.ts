import { type Context, SYSTEM } from "../../service/context.ts";
import { announceSettled, settleWaits, timedOut, type WaitEnd } from "../../service/settle-waits.ts";
import { timeOutGroup } from "../../service/wait-groups.ts";
import type { SettledTrigger } from "../../store/settlements.ts";
import * as triggers from "../../store/triggers.ts";
import type { Task } from "../loop.ts";

const BATCH = 500;
const HORIZON_MS = 1_000;

/** Ends the waits whose deadline has come: a sleep is over, an event came too late. */
export function settleDueWaits(context: Context): Task {
  return {
    name: "settle-due-waits",
    idleMs: HORIZON_MS,
    async tick() {
      const due = await triggers.due(context.db, BATCH);
      const sleeps = due.filter((trigger) => trigger.trigger_type === "sleep").map(slept);
      const waits = due
        .filter((trigger) => trigger.trigger_type !== "sleep" && trigger.trigger_type !== "group")
        .map((wait) => timedOut(wait.project_id, wait.id));
      let handled = 0;
      // Whoever waited for one of them is not kept waiting by the next.
      const announce = (settled: readonly SettledTrigger[]) => {
        handled += settled.length;
        announceSettled(context, settled);
      };
      if (sleeps.length > 0) announce(await settleWaits(context, context.db, "receive", true, sleeps));
      if (waits.length > 0) announce(await settleWaits(context, context.db, "timeOut", true, waits));
      for (const group of due.filter((trigger) => trigger.trigger_type === "group")) {
        announce(await timeOutGroup(context, group.project_id, group.id));
      }
      return { handled, nextMs: await triggers.msUntilDue(context.db, HORIZON_MS) };
    },
  };
}

function slept(trigger: triggers.DueTrigger): WaitEnd {
  return {
    projectId: trigger.project_id,
    triggerId: trigger.id,
    actor: SYSTEM,
    error: null,
    payload: JSON.stringify({ slept_for_secs: Math.round(trigger.slept_secs), completed_at: trigger.now }),
  };
}
