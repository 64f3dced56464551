import type { WebhookDelivery } from "@strait/contract";
import { illegalMove, notFound } from "../domain/errors.ts";
import * as deliveries from "../store/deliveries.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";

/**
 * Makes a delivery that was given up due again, with all its attempts.
 *
 * @throws {StraitError} `not_found`; `illegal_move` unless it is failed or dead.
 */
export async function retryDelivery(context: Context, caller: Caller, id: string): Promise<WebhookDelivery> {
  const { projectId: project_id, actor } = caller;
  const asked = { project_id, id, claim_seq: null, status_code: null, error: null, actor };
  const retried = await context.db.transaction(async (tx) => {
    const moved = await deliveries.move(tx, "retry", asked);
    if (!moved) {
      const found = await deliveries.find(tx, project_id, id);
      throw found ? illegalMove("webhook delivery", id, found.status, "retry") : notFound("webhook delivery", id);
    }
    await audit(context, tx, caller, "webhook_delivery.retry", [id]);
    return moved;
  });
  context.signals.publish(["deliveries"]);
  return retried;
}

/**
 * Sends what a delivery sent, to the same receiver, as a new delivery.
 *
 * @throws {StraitError} `not_found`.
 */
export async function replayDelivery(context: Context, caller: Caller, id: string): Promise<WebhookDelivery> {
  const { projectId, actor } = caller;
  const replayed = await context.db.transaction(async (tx) => {
    const copy = await deliveries.copy(tx, projectId, id, context.clock.newId("whd"), actor);
    if (!copy) throw notFound("webhook delivery", id);
    await audit(context, tx, caller, "webhook_delivery.replay", [id], { delivery_id: copy.id });
    return copy;
  });
  context.signals.publish(["deliveries"]);
  return replayed;
}
