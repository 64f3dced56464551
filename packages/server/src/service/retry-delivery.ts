import type { WebhookDelivery } from "@strait/contract";
import { illegalMove, notFound } from "../domain/errors.ts";
import * as deliveries from "../store/deliveries.ts";
import type { Caller, Context } from "./context.ts";

/**
 * Makes a delivery that was given up due again, with all its attempts.
 *
 * @throws {StraitError} `not_found`; `illegal_move` unless it is failed or dead.
 */
export async function retryDelivery({ db, signals }: Context, caller: Caller, id: string): Promise<WebhookDelivery> {
  const { projectId: project_id, actor } = caller;
  const asked = { project_id, id, claim_seq: null, status_code: null, error: null, actor };
  const retried = await deliveries.move(db, "retry", asked);
  if (!retried) {
    const found = await deliveries.find(db, project_id, id);
    throw found ? illegalMove("webhook delivery", id, found.status, "retry") : notFound("webhook delivery", id);
  }
  signals.publish(["deliveries"]);
  return retried;
}

/**
 * Sends what a delivery sent, to the same receiver, as a new delivery.
 *
 * @throws {StraitError} `not_found`.
 */
export async function replayDelivery(
  { db, clock, signals }: Context,
  caller: Caller,
  id: string,
): Promise<WebhookDelivery> {
  const replayed = await deliveries.copy(db, caller.projectId, id, clock.newId("whd"), caller.actor);
  if (!replayed) throw notFound("webhook delivery", id);
  signals.publish(["deliveries"]);
  return replayed;
}
