import type { BufferedEvent, EventTrigger, SentEvent } from "@strait/contract";
import {
  decideReject,
  type MeantWait,
  meet,
  metBy,
  mismatch,
  notFound,
  otherVersion,
  type Rejection,
  type Send,
  type StraitError,
  severalWait,
  waitCanceled,
  waitClosed,
  waitRejected,
} from "@strait/server/pure";
import { timestampOf } from "./clock.ts";
import type { Store, StoredEvent } from "./store.ts";
import { decide, hears } from "./terms.ts";
import { cancellationOf, settle, standingOf } from "./waits.ts";

export interface SendEvent extends Omit<Send, "payload"> {
  readonly payload: EventTrigger["response_payload"];
  readonly ttl_secs: number;
  readonly actor: string;
  readonly channel: StoredEvent["channel"];
  readonly idempotency_key: string | null;
}

export type SendAnswer =
  | { readonly status: 200; readonly body: SentEvent }
  | { readonly status: 202; readonly body: BufferedEvent };

/** Delivers an event to what waits for it, or keeps it, or refuses it: the table of answers is the server's. */
export function sendEvent(store: Store, send: SendEvent): SendAnswer {
  const standing = standingOf(store, send.event_key, send.trigger_id);
  const { met, others, decision } = meet(standing, send, { decide, hears });
  const row = eventRow(store, send, met);
  switch (decision.kind) {
    case "deliver": {
      if (!met) throw notFound("event trigger", send.event_key);
      const end = { actor: send.actor, payload: send.payload, isSent: true };
      store.events.put({ ...row, disposition: "delivered" });
      const [settled] = [met, ...others].map((trigger) => settle(store, trigger, "receive", end));
      nameLatest(store, settled ?? met);
      return { status: 200, body: sent(settled ?? met, "delivered") };
    }
    case "duplicate":
      if (!met) throw notFound("event trigger", send.event_key);
      store.events.put({ ...row, disposition: "duplicate" });
      return { status: 200, body: sent(met, "duplicate") };
    case "buffer": {
      const expires_at = store.clock.timestamp(send.ttl_secs);
      store.events.put({ ...row, trigger_id: null, generation: null, disposition: "buffered", expires_at });
      const { id, event_key } = row;
      return { status: 202, body: { status: "buffered", disposition: "buffered", id, event_key, expires_at } };
    }
    case "refuse":
      if (decision.record !== null) {
        const issues = decision.error.code === "payload_mismatch" ? (decision.error.details.issues ?? null) : null;
        store.events.put({ ...row, disposition: decision.record, issues });
      }
      throw decision.error;
  }
}

/** What `sendEvent` would refuse with; undefined when it would not. */
export function refusalOf(store: Store, send: SendEvent): StraitError | undefined {
  const { decision } = meet(standingOf(store, send.event_key, send.trigger_id), send, { decide, hears });
  return decision.kind === "refuse" ? decision.error : undefined;
}

/** Answers that there is no answer (S5). */
export function rejectEvent(
  store: Store,
  rejection: Rejection &
    Pick<SendEvent, "actor" | "idempotency_key"> & { readonly details: EventTrigger["response_payload"] },
): SentEvent {
  const { event_key, reason, details, actor } = rejection;
  const standing = standingOf(store, event_key, rejection.trigger_id);
  const met = metBy(standing, rejection.trigger_id);
  const decision = decideReject(met, rejection);
  if (!met) throw decision.kind === "refuse" ? decision.error : notFound("event trigger", event_key);
  const cancellation = cancellationOf("rejected", actor, reason, details);
  const sending = {
    ...rejection,
    payload: cancellation,
    for_next: false,
    channel: "api",
  } as const;
  const row = { ...eventRow(store, sending, met), is_rejection: true };
  if (decision.kind === "refuse") {
    if (decision.record !== null) store.events.put({ ...row, disposition: decision.record });
    throw decision.error;
  }
  store.events.put({ ...row, disposition: decision.kind === "deliver" ? "delivered" : "duplicate" });
  if (decision.kind === "duplicate") return sent(met, "duplicate");
  const end = { actor, isSent: true, error: waitRejected(actor, reason), cancellation };
  const settled = standing.waiting.map((trigger) => settle(store, trigger, "reject", end));
  const shown = settled.find(({ id }) => id === met.id) ?? met;
  nameLatest(store, shown);
  return sent(shown, "delivered");
}

/** Calls the waits on a key off (R5). */
export function cancelEvent(store: Store, meant: MeantWait, reason: string | null, actor: string): EventTrigger {
  const { waiting, met } = currentWaits(store, meant, "canceled");
  const error = waitCanceled(actor, reason);
  const end = { actor, error, cancellation: cancellationOf("canceled", actor, reason) };
  const settled = waiting.map((trigger) => settle(store, trigger, "cancel", end));
  return settled.find(({ id }) => id === met.id) ?? met;
}

/** Gives the wait on a key another deadline (R4); one that has passed ends the wait right afterwards. */
export function extendEvent(
  store: Store,
  change: MeantWait & {
    readonly timeout_secs: number | null;
    readonly deadline: string | null;
    readonly version: number | null;
  },
): EventTrigger {
  const { waiting, met } = currentWaits(store, change, "extended");
  const { event_key, version } = met;
  if (waiting.length > 1) throw severalWait(event_key, waiting.length);
  if (change.version !== null && change.version !== version) throw otherVersion(met, change.version);
  const { timeout_secs, deadline } = change;
  const inSecs = timeout_secs === null ? null : store.clock.timestamp(timeout_secs);
  const expires_at = deadline === null ? inSecs : timestampOf(deadline);
  return store.triggers.change(stored(store, met), { expires_at, version: version + 1 });
}

/** The waits that somebody means, all of which are open. */
function currentWaits(
  store: Store,
  meant: MeantWait,
  attempt: "canceled" | "extended",
): { readonly waiting: readonly EventTrigger[]; readonly met: EventTrigger } {
  const standing = standingOf(store, meant.event_key, meant.trigger_id);
  const met = metBy(standing, meant.trigger_id);
  if (!met) throw notFound("event trigger", meant.event_key);
  const stale = mismatch(met, meant);
  if (stale) throw stale;
  if (met.status !== "waiting") throw waitClosed(met, attempt);
  return { waiting: meant.trigger_id === null ? standing.waiting : [met], met: stored(store, met) };
}

const stored = (store: Store, { id, ...rest }: EventTrigger): EventTrigger => store.triggers.get(id) ?? { id, ...rest };

function sent(
  trigger: EventTrigger & { readonly overdue?: boolean },
  disposition: "delivered" | "duplicate",
): SentEvent {
  const { overdue: _, ...wire } = trigger;
  return { ...wire, disposition };
}

function nameLatest({ keys }: Store, { event_key, generation, id }: EventTrigger): void {
  keys.set(event_key, { generation, latest: id });
}

type Sender = Pick<SendEvent, "event_key" | "payload" | "for_next" | "actor" | "channel" | "idempotency_key">;

/** The record of a send, before its disposition is known. */
function eventRow(store: Store, sender: Sender, met: EventTrigger | undefined): Omit<StoredEvent, "disposition"> {
  const { event_key, payload, for_next, actor, channel, idempotency_key } = sender;
  return {
    ...store.project,
    id: store.clock.newId("evt"),
    event_key,
    payload,
    for_next,
    actor,
    channel,
    idempotency_key,
    trigger_id: met?.id ?? null,
    generation: met?.generation ?? null,
    is_rejection: false,
    issues: null,
    expires_at: null,
    created_at: store.clock.timestamp(),
  };
}
