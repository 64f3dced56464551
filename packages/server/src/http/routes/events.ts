import type { EventTrigger, TriggerStatus } from "@strait/contract";
import { isTerminalTriggerStatus } from "@strait/core";
import { asOf } from "../../domain/as-of.ts";
import { DEFAULT_TTL_SECS } from "../../domain/defaults.ts";
import { notFound } from "../../domain/errors.ts";
import { prefixSendOf } from "../../domain/request-defaults.ts";
import { checkNewDeadline, checkWindow, eventKeyOf } from "../../domain/request-rules.ts";
import { cancelEvent } from "../../service/cancel-event.ts";
import type { Caller, Context } from "../../service/context.ts";
import { explainEvent } from "../../service/explain-event.ts";
import { extendEvent } from "../../service/extend-event.ts";
import { purgeEvents } from "../../service/purge-events.ts";
import { rejectEvent } from "../../service/reject-event.ts";
import { sendPrefix } from "../../service/send-prefix.ts";
import * as eventRecords from "../../store/event-records.ts";
import * as keyWaits from "../../store/key-waits.ts";
import * as triggerLists from "../../store/trigger-lists.ts";
import * as triggerStats from "../../store/trigger-stats.ts";
import * as triggers from "../../store/triggers.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";
import { openStream } from "../streams.ts";
import { subjectSource } from "../subject-source.ts";

const IN_PATH = "/path/eventKey";

/** The trigger of a key, or the one of them that is named. */
async function triggerOf(
  { db }: Context,
  caller: Caller,
  text: string,
  triggerId: string | undefined,
): Promise<EventTrigger> {
  const key = keyOf(caller, text);
  const found = triggerId === undefined ? keyWaits.findByKey(db, key) : keyWaits.findOfKey(db, key, triggerId);
  const trigger = await found;
  if (!trigger) throw notFound("event trigger", triggerId ?? key.event_key);
  return trigger;
}

const keyOf = ({ projectId, environmentId }: Caller, text: string): keyWaits.EventKey => ({
  project_id: projectId,
  environment_id: environmentId,
  event_key: eventKeyOf(text, IN_PATH),
});

export const eventsRoutes: HandlersOf<"events"> = {
  getV1Events({ context, caller, query }) {
    checkWindow(query);
    // Keys are stored in NFC.
    const filter = query.prefix === undefined ? query : { ...query, prefix: query.prefix.normalize("NFC") };
    return triggerLists.list(context.db, caller.projectId, filter, pageOf(query));
  },

  getV1EventsStats: ({ context, caller, query }) =>
    triggerStats.read(context.db, caller.projectId, query.near_deadline_secs ?? 3_600),

  postV1EventsPurge: ({ context, caller, body }) =>
    purgeEvents(context, caller, {
      ...body,
      limit: body.limit ?? 10_000,
      dry_run: body.dry_run ?? false,
      expect: body.expect ?? {},
    }),

  getV1EventsByEventKey: ({ context, caller, path, query }) =>
    triggerOf(context, caller, path.eventKey, query.trigger_id),

  deleteV1EventsByEventKey({ context, caller, path, query }) {
    const event_key = eventKeyOf(path.eventKey, IN_PATH);
    const meant = { event_key, generation: null, trigger_id: query.trigger_id ?? null };
    return cancelEvent(context, caller, meant, query.reason ?? null);
  },

  getV1EventsByEventKeySends: ({ context, caller, path, query }) =>
    eventRecords.list(context.db, keyOf(caller, path.eventKey), query, pageOf(query)),

  getV1EventsByEventKeyExplain: ({ context, caller, path, query }) =>
    explainEvent(context, caller, { ...query, event_key: eventKeyOf(path.eventKey, IN_PATH) }),

  async postV1EventsByEventKeySend({ caller, path, body, idempotency, lanes }) {
    return lanes.send.add({
      project_id: caller.projectId,
      environment_id: caller.environmentId,
      event_key: eventKeyOf(path.eventKey, IN_PATH),
      payload: body?.payload ?? null,
      if_no_waiter: body?.if_no_waiter ?? "buffer",
      ttl_secs: body?.ttl_secs ?? DEFAULT_TTL_SECS,
      for_next: body?.for_next ?? false,
      generation: body?.generation ?? null,
      trigger_id: body?.trigger_id ?? null,
      actor: caller.actor,
      channel: "api",
      idempotency,
    });
  },

  async postV1EventsByEventKeyReject({ context, caller, path, body, idempotency }) {
    return rejectEvent(context, caller, {
      event_key: eventKeyOf(path.eventKey, IN_PATH),
      reason: body.reason,
      details: body.details ?? null,
      generation: body.generation ?? null,
      trigger_id: body.trigger_id ?? null,
      idempotency_key: idempotency?.key ?? null,
    });
  },

  async postV1EventsByEventKeyExtend({ context, caller, path, body }) {
    const { timeout_secs, deadline } = body;
    checkNewDeadline(body);
    return extendEvent(context, caller, {
      event_key: eventKeyOf(path.eventKey, IN_PATH),
      timeout_secs: timeout_secs ?? null,
      deadline: deadline ?? null,
      version: body.version ?? null,
      generation: body.generation ?? null,
      trigger_id: body.trigger_id ?? null,
    });
  },

  async postV1EventsPrefixByPrefixSend({ context, caller, path, body, idempotency }) {
    const send = prefixSendOf(path.prefix, body);
    return sendPrefix(context, caller, { ...send, idempotency_key: idempotency?.key ?? null });
  },

  async getV1EventsByEventKeyStream({ context, caller, path, query, headers, streams }) {
    const trigger = await triggerOf(context, caller, path.eventKey, query.trigger_id);
    const source = subjectSource(context.db, caller.projectId, trigger.id, "trigger", {
      read: () => triggers.findNumbered(context.db, caller.projectId, trigger.id),
      isTerminal: (row) => isTerminalTriggerStatus(row.status),
      asOf: (row, change) =>
        asOf(row, change, change.after !== null && isTerminalTriggerStatus(change.after as TriggerStatus)),
    });
    const lastEventId = headers["Last-Event-ID"];
    return openStream(streams, context, source, { projectId: caller.projectId, lastEventId, cursor: query.cursor });
  },
};
