import type { EventTrigger } from "@strait/contract";
import { isTerminalTriggerStatus } from "@strait/core";
import {
  checkNewDeadline,
  checkWindow,
  DEFAULT_TTL_SECS,
  eventKeyOf,
  notFound,
  prefixSendOf,
} from "@strait/server/pure";
import { sendPrefix } from "../send-prefix.ts";
import { cancelEvent, extendEvent, rejectEvent, sendEvent } from "../sends.ts";
import type { Store } from "../store.ts";
import { openStream } from "../streams.ts";
import { standingOf } from "../waits.ts";
import { pageOf, recordOf } from "../wire.ts";
import { deadlineOf, type Modeled, newestFirst } from "./model.ts";

const IN_PATH = "/path/eventKey";

/** The trigger of a key, or the one of them that is named. */
function triggerOf(store: Store, text: string, triggerId: string | undefined): EventTrigger {
  const key = eventKeyOf(text, IN_PATH);
  const current = standingOf(store, key).waiting.at(-1)?.id ?? store.keys.get(key)?.latest;
  const trigger = store.triggers.get(triggerId ?? current ?? "");
  if (trigger?.event_key !== key) throw notFound("event trigger", triggerId ?? key);
  return trigger;
}

const meantBy = (body: { readonly generation?: number; readonly trigger_id?: string } | undefined) => ({
  generation: body?.generation ?? null,
  trigger_id: body?.trigger_id ?? null,
});

export const eventOperations: Modeled = {
  getV1Events(store, { query }) {
    const { status, source_type, workflow_run_id, prefix, expires_after, expires_before } = query;
    const isWindow = (expires_after ?? expires_before) !== undefined;
    checkWindow(query);
    const rows = newestFirst(store.triggers.all()).filter(
      (trigger) =>
        (status === undefined || trigger.status === status) &&
        (source_type === undefined || trigger.source_type === source_type) &&
        (workflow_run_id === undefined || trigger.workflow_run_id === workflow_run_id) &&
        (prefix === undefined || trigger.event_key.startsWith(prefix.normalize("NFC"))) &&
        (!isWindow || (trigger.status === "waiting" && isWithin(trigger.expires_at, expires_after, expires_before))),
    );
    if (isWindow) rows.sort((a, b) => compare(a.expires_at ?? "", b.expires_at ?? ""));
    else if (prefix !== undefined) rows.sort((a, b) => compare(a.event_key, b.event_key) || compare(a.id, b.id));
    return { status: 200, body: pageOf(rows, query) };
  },

  getV1EventsByEventKey: (store, { pathParams, query }) => ({
    status: 200,
    body: triggerOf(store, pathParams.eventKey, query.trigger_id),
  }),

  deleteV1EventsByEventKey(store, { pathParams, query, caller }) {
    const meant = {
      event_key: eventKeyOf(pathParams.eventKey, IN_PATH),
      generation: null,
      trigger_id: query.trigger_id ?? null,
    };
    return { status: 200, body: cancelEvent(store, meant, query.reason ?? null, caller.actor) };
  },

  async getV1EventsByEventKeySends(store, { pathParams, query }) {
    const key = eventKeyOf(pathParams.eventKey, IN_PATH);
    const rows = newestFirst(store.events.all()).filter(
      (event) =>
        event.event_key === key &&
        (query.trigger_id === undefined || event.trigger_id === query.trigger_id) &&
        (query.disposition === undefined || event.disposition === query.disposition),
    );
    const { data, ...page } = pageOf(rows, query);
    return { status: 200, body: { ...page, data: await Promise.all(data.map(recordOf)) } };
  },

  postV1EventsByEventKeySend: (store, { pathParams, body, caller, idempotencyKey }) =>
    sendEvent(store, {
      ...meantBy(body),
      event_key: eventKeyOf(pathParams.eventKey, IN_PATH),
      payload: body?.payload ?? null,
      if_no_waiter: body?.if_no_waiter ?? "buffer",
      ttl_secs: body?.ttl_secs ?? DEFAULT_TTL_SECS,
      for_next: body?.for_next ?? false,
      actor: caller.actor,
      channel: "api",
      idempotency_key: idempotencyKey,
    }),

  async postV1EventsPrefixByPrefixSend(store, { pathParams, body, caller, idempotencyKey }) {
    const input = prefixSendOf(pathParams.prefix, body);
    const send = { ...input, actor: caller.actor, idempotency_key: idempotencyKey };
    return { status: 200, body: await sendPrefix(store, send) };
  },

  postV1EventsByEventKeyReject: (store, { pathParams, body, caller, idempotencyKey }) => ({
    status: 200,
    body: rejectEvent(store, {
      ...meantBy(body),
      event_key: eventKeyOf(pathParams.eventKey, IN_PATH),
      reason: body.reason,
      details: body.details ?? null,
      actor: caller.actor,
      idempotency_key: idempotencyKey,
    }),
  }),

  postV1EventsByEventKeyExtend(store, { pathParams, body }) {
    checkNewDeadline(body);
    const { timeout_secs, deadline } = deadlineOf(body);
    const change = {
      ...meantBy(body),
      event_key: eventKeyOf(pathParams.eventKey, IN_PATH),
      version: body.version ?? null,
    };
    return { status: 200, body: extendEvent(store, { ...change, timeout_secs, deadline }) };
  },

  getV1EventsByEventKeyStream(store, { pathParams, query, request, streams }) {
    const { id } = triggerOf(store, pathParams.eventKey, query.trigger_id);
    const isTerminal = ({ status }: EventTrigger) => isTerminalTriggerStatus(status);
    return openStream({ table: store.triggers, id, isTerminal }, query, request, streams);
  },

  getV1EventDeadLetters(store, { query }) {
    const rows = newestFirst(store.deadLetters.all()).filter(
      ({ event_key, reason }) =>
        (query.reason === undefined || reason === query.reason) &&
        event_key.startsWith((query.prefix ?? "").normalize("NFC")),
    );
    return { status: 200, body: pageOf(rows, query) };
  },
};

function isWithin(time: string | null, after: string | undefined, before: string | undefined): boolean {
  if (time === null) return false;
  const at = Date.parse(time);
  return (after === undefined || at >= Date.parse(after)) && (before === undefined || at < Date.parse(before));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
