import { eventKeyOf } from "../../domain/request-rules.ts";
import { createStreamToken } from "../../service/create-stream-token.ts";
import type { HandlersOf } from "../handlers.ts";

export const streamsRoutes: HandlersOf<"streams"> = {
  postV1StreamTokens({ context, caller, body, streamTokens }) {
    const key = body.event_key === undefined ? {} : { event_key: eventKeyOf(body.event_key, "/event_key") };
    return createStreamToken(context, streamTokens, caller, { ...body, ...key });
  },
};
