import type { InboxMessage } from "@strait/contract";
import { isTerminalRunStatus } from "@strait/core";
import { idempotencyMismatch, inboxFull, notFound, runClosed, type StraitError } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import type { IdempotencyKey } from "../store/idempotency.ts";
import * as inboxes from "../store/inboxes.ts";
import type * as settlements from "../store/settlements.ts";
import * as triggers from "../store/triggers.ts";
import type { Context } from "./context.ts";
import type { RunRequest } from "./enqueue-run.ts";
import { announceSettled, receiveOwn } from "./settle-waits.ts";
import { startIfMissing } from "./start-if-missing.ts";

/** A message on its way to a run. */
export interface SendMessage {
  readonly project_id: string;
  /** Or an id of the sender's own, where a run is to be started under it. */
  readonly run_id: string;
  readonly start_if_missing: RunRequest | null;
  readonly name: string;
  readonly payload: unknown;
  readonly actor: string;
  readonly idempotency: IdempotencyKey | null;
}

/** The answer to a message that came before is given back with `replayed`. */
export interface MessageAnswer {
  readonly status: 200 | 202;
  readonly body: InboxMessage;
  readonly replayed?: true;
}

interface Sent {
  readonly outcome: { readonly answer: MessageAnswer } | { readonly error: StraitError };
  readonly settled: readonly settlements.SettledTrigger[];
}

/**
 * Puts a message into the inbox of a run, whatever the run does (GR-01), and wakes the run if that is what it waits for.
 * The inbox is locked by every send and every receive, so no message falls between "is there one?" and "does it wait?".
 * The run is not: a send never waits for it (R7).
 *
 * @throws {StraitError} `not_found`; `run_closed` when the run has ended, with the message on record;
 *   `idempotency_mismatch`; `quota_exceeded` when too many are unread.
 */
export async function sendMessage(context: Context, send: SendMessage): Promise<MessageAnswer> {
  const { outcome, settled } = await context.db.transaction((tx) => sendWithin(context, tx, send));
  announceSettled(context, settled);
  if ("error" in outcome) throw outcome.error;
  return outcome.answer;
}

async function sendWithin(context: Context, tx: Transaction, given: SendMessage): Promise<Sent> {
  const { project_id, start_if_missing, name, idempotency } = given;
  const known = await inboxes.lock(tx, project_id, given.run_id);
  const run_id = known || !start_if_missing ? given.run_id : await startIfMissing(context, tx, start_if_missing);
  const send = { ...given, run_id };
  const inbox = known ?? (await inboxes.lock(tx, project_id, run_id));
  if (!inbox) throw notFound("run", run_id);
  const run = await inboxes.stateOf(tx, project_id, run_id, inbox.waiter_id);
  if (!run) throw notFound("run", run_id);
  const earlier =
    idempotency === null ? undefined : await inboxes.findByKey(tx, project_id, run_id, name, idempotency.key);
  if (earlier) return { outcome: repeated(earlier, send, run.status), settled: [] };

  const isLate = isTerminalRunStatus(run.status);
  const isAwaited = run.waits && (inbox.accepts === null || inbox.accepts.includes(name));
  if (run.is_full && !isLate && !isAwaited) throw inboxFull(run_id, run.max_unread);
  const message = await inboxes.insert(tx, {
    project_id,
    run_id,
    id: context.clock.newId("msg"),
    name,
    payload: JSON.stringify(send.payload),
    disposition: isLate ? "late" : "buffered",
    actor: send.actor,
    idempotency_key: idempotency?.key ?? null,
    body_hash: idempotency?.body_hash ?? null,
  });
  if (isLate) return { outcome: { error: runClosed(run_id, run.status) }, settled: [] };
  const settled = isAwaited ? await wake(context, tx, send, inbox.waiter_id ?? "", message) : [];
  if (settled.length === 0) return { outcome: { answer: { status: 202, body: message } }, settled };
  await inboxes.markDelivered(tx, project_id, message);
  return { outcome: { answer: { status: 200, body: { ...message, disposition: "delivered" } } }, settled };
}

/** The message stands as it was sent, so it is the answer that was given. */
function repeated(
  { message, body_hash }: { readonly message: InboxMessage; readonly body_hash: string },
  { idempotency, run_id }: SendMessage,
  runStatus: string,
): Sent["outcome"] {
  if (body_hash !== idempotency?.body_hash) return { error: idempotencyMismatch(idempotency?.key ?? "") };
  if (message.disposition === "late") return { error: runClosed(run_id, runStatus) };
  return { answer: { status: message.disposition === "delivered" ? 200 : 202, body: message, replayed: true } };
}

/** Ends the wait with the message, unless it has ended otherwise meanwhile. */
async function wake(
  context: Context,
  tx: Transaction,
  { project_id, actor }: SendMessage,
  waiterId: string,
  message: InboxMessage,
): Promise<settlements.SettledTrigger[]> {
  // Waited for: whoever holds the row may give it up, and nobody would look again.
  await triggers.lockAll(tx, project_id, [waiterId]);
  const payload = JSON.stringify({ messages: [{ ...message, disposition: "delivered" }] });
  return receiveOwn(context, tx, [{ project_id, id: waiterId, payload, actor }], { evenIfDue: false });
}
