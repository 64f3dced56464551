import type { EventTrigger, InboxDisposition, InboxMessage, Run } from "@strait/contract";
import { isTerminalRunStatus, jsonEquals } from "@strait/core";
import { DEFAULT_MAX_UNREAD, idempotencyMismatch, inboxFull, MAX_TAKEN_BYTES, runClosed } from "@strait/server/pure";
import { newTrigger } from "./new-trigger.ts";
import { parkRun, takeEvent } from "./runs.ts";
import type { Store, StoredMessage } from "./store.ts";
import { settle } from "./waits.ts";

/** A message on its way to a run. */
export interface SendMessage {
  readonly run: Run;
  readonly name: string;
  readonly payload: InboxMessage["payload"];
  readonly actor: string;
  readonly idempotency_key: string | null;
  /** The request as a whole: a repeat has to be equal. */
  readonly body: unknown;
}

export interface MessageAnswer {
  readonly status: 200 | 202;
  readonly body: InboxMessage;
  readonly replayed?: true;
}

/** The messages that were sent to a run, in the order in which they came (O1). */
export function messagesOf({ messages }: Store, runId: string): StoredMessage[] {
  return messages.all().filter(({ run_id }) => run_id === runId);
}

export const isUnread = ({ received_at, disposition }: StoredMessage): boolean =>
  received_at === null && disposition !== "late";

/** A message as its sender and its run see it. */
function shown({ received_at: _, key: _key, body: _body, ...message }: StoredMessage): InboxMessage {
  return message;
}

/** What a run has received, as its checkpoint. */
const checkpointOf = (messages: readonly InboxMessage[]): Run["checkpoint"] => ({
  messages: messages.map((message) => ({ ...message })),
});

/**
 * Puts a message into the inbox of a run, whatever the run does (GR-01), and wakes the run if that is what it waits for.
 *
 * @throws {StraitError} `run_closed` when the run has ended, with the message on record; `idempotency_mismatch`;
 *   `quota_exceeded`.
 */
export function sendMessage(store: Store, send: SendMessage): MessageAnswer {
  const { run, name, actor, idempotency_key: key } = send;
  const all = messagesOf(store, run.id);
  const earlier = key === null ? undefined : all.find((message) => message.name === name && message.key === key);
  if (earlier) return repeated(earlier, send);

  const isLate = isTerminalRunStatus(run.status);
  const waiter = waiterOf(store, run.id, name);
  const isFull = all.filter(isUnread).length >= DEFAULT_MAX_UNREAD;
  if (isFull && !isLate && !waiter) throw inboxFull(run.id, DEFAULT_MAX_UNREAD);
  const disposition: InboxDisposition = isLate ? "late" : waiter ? "delivered" : "buffered";
  const created_at = store.clock.timestamp();
  const message = store.messages.put({
    id: store.clock.newId("msg"),
    run_id: run.id,
    name,
    sequence: all.length + 1,
    payload: send.payload,
    disposition,
    sent_by: actor,
    created_at,
    received_at: waiter ? created_at : null,
    key,
    body: send.body,
  });
  if (isLate) throw runClosed(run.id, run.status);
  const body = shown(message);
  if (waiter) settle(store, waiter, "receive", { actor, isSent: true, payload: checkpointOf([body]) });
  return { status: waiter ? 200 : 202, body };
}

/** The message stands as it was sent, so it is the answer that was given. */
function repeated(message: StoredMessage, { run, body, idempotency_key }: SendMessage): MessageAnswer {
  if (!jsonEquals(message.body, body)) throw idempotencyMismatch(idempotency_key ?? "");
  if (message.disposition === "late") throw runClosed(run.id, run.status);
  return { status: message.disposition === "delivered" ? 200 : 202, body: shown(message), replayed: true };
}

/** The wait that a message of this name ends. */
function waiterOf({ triggers }: Store, runId: string, name: string): EventTrigger | undefined {
  return triggers.all().find(({ status, trigger_type, job_run_id, request_payload }) => {
    if (status !== "waiting" || trigger_type !== "inbox" || job_run_id !== runId) return false;
    const { names } = (request_payload ?? {}) as { readonly names?: readonly string[] };
    return names?.includes(name) ?? true;
  });
}

/** Hands the oldest unread messages to a run, those of other names left in their places (O2). */
export function takeMessages(store: Store, run: Run, names: readonly string[] | null, max: number): InboxMessage[] {
  const unread = messagesOf(store, run.id).filter(
    (message) => isUnread(message) && (names?.includes(message.name) ?? true),
  );
  let bytes = 0;
  const taken = unread.slice(0, max).filter(({ payload }, index) => {
    bytes += new TextEncoder().encode(JSON.stringify(payload)).length;
    return index === 0 || bytes <= MAX_TAKEN_BYTES;
  });
  const received_at = store.clock.timestamp();
  const messages = taken.map((message) => shown(store.messages.change(message, { received_at })));
  if (messages.length > 0) takeEvent(store, run, checkpointOf(messages));
  return messages;
}

/** What a run asks for that waits for a message. */
export interface InboxWait {
  readonly names: readonly string[] | null;
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
  readonly grace_secs: number;
  readonly on_timeout: EventTrigger["on_timeout"];
  readonly timeout_payload: EventTrigger["timeout_payload"];
}

/** Parks a run until a message comes (GR-02). */
export function awaitMessage(store: Store, run: Run, { names, ...wait }: InboxWait): EventTrigger {
  const trigger = newTrigger(store, {
    ...wait,
    id: store.clock.newId("trg"),
    event_key: `inbox:${run.id}`,
    trigger_type: "inbox",
    job_run_id: run.id,
    request_payload: names === null ? null : { names: [...names] },
    on_cancel: "fail",
  });
  parkRun(store, run);
  return store.triggers.put(trigger);
}
