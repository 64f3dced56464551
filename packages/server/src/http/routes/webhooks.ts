import { notFound } from "../../domain/errors.ts";
import { replayDelivery, retryDelivery } from "../../service/retry-delivery.ts";
import * as deliveries from "../../store/deliveries.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

export const webhooksRoutes: HandlersOf<"webhooks"> = {
  getV1WebhooksDeliveries: ({ context, caller, query }) =>
    deliveries.list(context.db, caller.projectId, query, pageOf(query)),

  async getV1WebhooksDeliveriesByDeliveryID({ context, caller, path }) {
    const delivery = await deliveries.find(context.db, caller.projectId, path.deliveryID);
    if (!delivery) throw notFound("webhook delivery", path.deliveryID);
    return delivery;
  },

  postV1WebhooksDeliveriesByDeliveryIDRetry: ({ context, caller, path }) =>
    retryDelivery(context, caller, path.deliveryID),

  postV1WebhooksDeliveriesByDeliveryIDReplay: ({ context, caller, path }) =>
    replayDelivery(context, caller, path.deliveryID),
};
