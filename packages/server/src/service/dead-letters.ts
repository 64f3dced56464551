import type { DeadLetter } from "@strait/contract";
import { illegalMove, notFound, type StraitError } from "../domain/errors.ts";
import * as deadLetters from "../store/dead-letters.ts";
import type { Queryable } from "../store/sql.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";
import { sendWithin } from "./send-event.ts";
import { prepared, type SendAnswer, type SendEvent } from "./sending.ts";
import { announceSettled } from "./settle-waits.ts";

const NOUN = "dead letter";
const ownerOf = ({ projectId, environmentId }: Caller): deadLetters.Owner => ({
  project_id: projectId,
  environment_id: environmentId,
});

/** Where a dead letter goes. */
export type Target = Pick<
  SendEvent,
  "event_key" | "generation" | "trigger_id" | "if_no_waiter" | "for_next" | "ttl_secs"
>;

/**
 * Sends the payload of a dead letter once more, as a new event by the caller: the same decisions as for any other send, in
 * one transaction with the end of the letter. When the send is refused nothing has happened, and the letter stays.
 *
 * @throws {StraitError} `not_found`; `illegal_move` when it was handled already; whatever a send refuses.
 */
export async function retargetDeadLetter(
  context: Context,
  caller: Caller,
  id: string,
  target: Target,
  idempotency_key: string | null,
): Promise<SendAnswer> {
  const owner = ownerOf(caller);
  const { answer, settled } = await context.db.transaction(async (tx) => {
    const letter = await deadLetters.lockOpen(tx, owner, id);
    if (!letter) throw await whyNot(tx, owner, id, "retarget");
    const payload: unknown = JSON.parse(letter.payload);
    const event = {
      ...owner,
      ...target,
      payload,
      actor: caller.actor,
      channel: "retarget",
      idempotency: null,
    } as const;
    const send = { ...prepared(context, event, idempotency_key), payload_text: letter.payload };
    const { outcomes, settled } = await sendWithin(context, tx, [send]);
    const outcome = outcomes.get(send);
    if (!outcome?.ok) throw outcome?.error ?? new Error("a dead letter was not decided");
    await deadLetters.close(tx, owner, id, { status: "retargeted", actor: caller.actor, event_id: send.event_id });
    const { event_key } = target;
    await audit(context, tx, caller, "dead_letter.retarget", [id], { event_key, event_id: send.event_id });
    return { answer: outcome.value, settled };
  });
  announceSettled(context, settled);
  return answer;
}

/** Takes a dead letter off the list. @throws {StraitError} `not_found`; `illegal_move` when it was handled already. */
export async function discardDeadLetter(context: Context, caller: Caller, id: string): Promise<DeadLetter> {
  const owner = ownerOf(caller);
  return context.db.transaction(async (tx) => {
    const letter = await deadLetters.close(tx, owner, id, { status: "discarded", actor: caller.actor, event_id: null });
    if (!letter) throw await whyNot(tx, owner, id, "discard");
    await audit(context, tx, caller, "dead_letter.discard", [id], { event_key: letter.event_key });
    return letter;
  });
}

async function whyNot(db: Queryable, owner: deadLetters.Owner, id: string, move: string): Promise<StraitError> {
  const letter = await deadLetters.find(db, owner, id);
  return letter ? illegalMove(NOUN, id, letter.status, move) : notFound(NOUN, id);
}
