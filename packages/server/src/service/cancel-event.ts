import type { EventTrigger } from "@strait/contract";
import type { Caller, Context } from "./context.ts";
import { changeWait } from "./current-wait.ts";
import { wire } from "./sending.ts";
import { settleWaits } from "./settle-waits.ts";

/**
 * Ends the wait on a key as canceled: its step fails and its run follows `on_cancel`, with the reason and the actor (R5).
 *
 * @throws {StraitError} `not_found` when nobody ever waited on the key; `wait_closed` when the wait has ended, also when
 *   its deadline has just passed: then this call is what times it out.
 */
export function cancelEvent(
  context: Context,
  caller: Caller,
  eventKey: string,
  reason: string | null,
): Promise<EventTrigger> {
  const meant = { event_key: eventKey, generation: null, trigger_id: null };
  return changeWait(context, caller, meant, "canceled", async (tx, { project_id, id }) => {
    const { actor } = caller;
    const error = `event trigger canceled by ${actor}${reason === null ? "" : `: ${reason}`}`;
    const end = { projectId: project_id, triggerId: id, actor, error, reason };
    const [canceled] = await settleWaits(context, tx, "cancel", false, [end]);
    return canceled && { settled: [canceled], trigger: wire(canceled) };
  });
}
