import type { EventTrigger } from "@strait/contract";
import { notFound, type StraitError, waitClosed } from "../domain/errors.ts";
import * as triggers from "../store/triggers.ts";
import type { Caller, Context } from "./context.ts";
import { announceSettled, settleWaits, timedOut } from "./settle-waits.ts";

/**
 * Ends the wait on a key as canceled: its step fails and its run follows `on_cancel`.
 *
 * @throws {StraitError} `not_found` when nobody ever waited on the key; `wait_closed` when the wait has ended, also when
 *   its deadline has just passed: then this call is what times it out.
 */
export async function cancelEvent(
  context: Context,
  caller: Caller,
  eventKey: string,
  reason: string | undefined,
): Promise<EventTrigger> {
  const key = { project_id: caller.projectId, environment_id: caller.environmentId, event_key: eventKey };
  const { settled, error } = await context.db.transaction(
    async (tx): Promise<{ settled: triggers.SettledTrigger[]; error?: StraitError }> => {
      await triggers.lockKeys(tx, [key]);
      await triggers.lockWaiting(tx, [key]);
      const [latest] = await triggers.latestOf(tx, [key]);
      // Thrown here, so that the row of a key that nobody knows is rolled back.
      if (!latest) throw notFound("event trigger", eventKey);
      if (latest.status !== "waiting") return { settled: [], error: waitClosed(latest) };
      if (latest.overdue) {
        const ended = await settleWaits(context, tx, "timeOut", true, [timedOut(latest.project_id, latest.id)]);
        return { settled: ended, error: waitClosed({ ...latest, status: "timed_out" }) };
      }
      return {
        settled: await settleWaits(context, tx, "cancel", false, [
          {
            projectId: latest.project_id,
            triggerId: latest.id,
            actor: caller.actor,
            error: reason === undefined ? "event trigger canceled" : `event trigger canceled: ${reason}`,
          },
        ]),
      };
    },
  );
  announceSettled(context, settled);
  if (error) throw error;
  const canceled = await triggers.findByKey(context.db, caller.projectId, caller.environmentId, eventKey);
  if (!canceled) throw notFound("event trigger", eventKey);
  return canceled;
}
