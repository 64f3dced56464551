import type { EventTrigger } from "@strait/contract";
import type { MeantWait } from "../domain/decide-send.ts";
import { waitCanceled } from "../domain/reasons.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";
import { changeWait } from "./current-wait.ts";
import { wire } from "./sending.ts";
import { settleWaits } from "./settle-waits.ts";

/**
 * Ends what waits on a key as canceled: its steps fail and its runs follow `on_cancel`, with the reason and the actor (R5).
 *
 * @throws {StraitError} `not_found` when nobody ever waited on the key; `wait_closed` when the wait has ended, also when
 *   its deadline has just passed: then this call is what times it out.
 */
export function cancelEvent(
  context: Context,
  caller: Caller,
  meant: MeantWait,
  reason: string | null,
): Promise<EventTrigger> {
  return changeWait(context, caller, meant, "canceled", async (tx, waiting) => {
    const { actor } = caller;
    const error = waitCanceled(actor, reason);
    const ends = waiting.map(({ project_id, id }) => ({ projectId: project_id, triggerId: id, actor, error, reason }));
    const settled = await settleWaits(context, tx, "cancel", false, ends);
    const canceled = settled.map(({ id }) => id);
    await audit(context, tx, caller, "event_trigger.cancel", canceled, { event_key: meant.event_key, reason });
    const shown = settled.find(({ id }) => id === waiting.at(-1)?.id) ?? settled[0];
    return shown && { settled, trigger: wire(shown) };
  });
}
