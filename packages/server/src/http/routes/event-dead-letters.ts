import { DEFAULT_TTL_SECS } from "../../domain/defaults.ts";
import { eventKeyOf } from "../../domain/request-rules.ts";
import { discardDeadLetter, retargetDeadLetter } from "../../service/dead-letters.ts";
import * as deadLetters from "../../store/dead-letters.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

export const eventDeadLettersRoutes: HandlersOf<"event-dead-letters"> = {
  getV1EventDeadLetters({ context, caller, query }) {
    const owner = { project_id: caller.projectId, environment_id: caller.environmentId };
    // Keys are stored in NFC.
    const filter = { reason: query.reason, prefix: query.prefix?.normalize("NFC") };
    return deadLetters.list(context.db, owner, filter, pageOf(query));
  },

  postV1EventDeadLettersByEventIDRetarget({ context, caller, path, body, idempotency }) {
    const target = {
      event_key: eventKeyOf(body.event_key, "/event_key"),
      generation: body.generation ?? null,
      trigger_id: body.trigger_id ?? null,
      if_no_waiter: body.if_no_waiter ?? "buffer",
      for_next: body.for_next ?? false,
      ttl_secs: body.ttl_secs ?? DEFAULT_TTL_SECS,
    };
    return retargetDeadLetter(context, caller, path.eventID, target, idempotency?.key ?? null);
  },

  postV1EventDeadLettersByEventIDDiscard: ({ context, caller, path }) =>
    discardDeadLetter(context, caller, path.eventID),
};
