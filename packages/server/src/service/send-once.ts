import { idempotencyMismatch } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import * as idempotency from "../store/idempotency.ts";
import { done, type Outcome, refused } from "./lane.ts";
import type { SendAnswer, Sending } from "./sending.ts";

/** Takes the idempotency keys of sends; those that were used answer from what was stored. */
export async function takeKeys(
  tx: Transaction,
  keyed: readonly Sending[],
  answers: Map<Sending, Outcome<SendAnswer>>,
): Promise<Set<Sending>> {
  if (keyed.length === 0) return new Set();
  const rows = keyed.flatMap(keyRow);
  const taken = new Map((await idempotency.take(tx, rows)).map((row) => [idOf(row), row]));
  const fresh = new Set<Sending>();
  const used: Sending[] = [];
  for (const send of keyed) {
    const id = send.idempotency ? idOf(send.idempotency) : "";
    if (taken.delete(id)) fresh.add(send);
    else used.push(send);
  }
  if (used.length === 0) return fresh;
  const stored = new Map((await idempotency.find(tx, used.flatMap(keyRow))).map((row) => [idOf(row), row]));
  for (const send of used) {
    const answer = stored.get(send.idempotency ? idOf(send.idempotency) : "");
    if (!answer || answer.status === null) continue; // taken in this very batch: the next round finds its answer
    if (answer.body_hash !== send.idempotency?.body_hash) answers.set(send, refused(idempotencyMismatch(answer.key)));
    else answers.set(send, done(replayed(answer.status, answer.response)));
  }
  return fresh;
}

/** Of several sends with one idempotency key in one batch the first took it; the others repeat its answer. */
export function answerTwins(
  sends: readonly Sending[],
  fresh: ReadonlySet<Sending>,
  answers: Map<Sending, Outcome<SendAnswer>>,
): void {
  const first = new Map(
    [...fresh].flatMap((send) => (send.idempotency ? [[idOf(send.idempotency), send] as const] : [])),
  );
  for (const send of sends) {
    if (answers.has(send) || !send.idempotency) continue;
    const twin = first.get(idOf(send.idempotency));
    const outcome = twin && answers.get(twin);
    if (twin?.idempotency?.body_hash !== send.idempotency.body_hash) {
      answers.set(send, refused(idempotencyMismatch(send.idempotency.key)));
    } else if (outcome) {
      answers.set(send, outcome.ok ? done({ ...outcome.value, replayed: true }) : outcome);
    }
  }
}

export async function storeAnswers(
  tx: Transaction,
  sends: readonly Sending[],
  answerOf: (send: Sending) => SendAnswer | undefined,
): Promise<void> {
  const rows = sends.flatMap((send) => {
    const answer = answerOf(send);
    if (!answer || !send.idempotency) return [];
    const { project_id, target, key } = send.idempotency;
    return [{ project_id, target, key, status: answer.status, response: JSON.stringify(answer.body) }];
  });
  if (rows.length > 0) await idempotency.answer(tx, rows);
}

function replayed(status: number, response: string | null): SendAnswer {
  return { status, body: JSON.parse(response ?? "null"), replayed: true } as SendAnswer;
}

/** Gives back the keys of sends that were refused: the same send may be answered otherwise later. */
export async function releaseKeys(tx: Transaction, sends: readonly Sending[]): Promise<void> {
  const rows = sends.flatMap(keyRow);
  if (rows.length > 0) await idempotency.release(tx, rows);
}

/** Tells which sends have one idempotency key. */
export const idOf = (key: idempotency.IdempotencyKey): string => `${key.project_id}\n${key.target}\n${key.key}`;
const keyRow = (send: Sending): idempotency.IdempotencyKey[] => (send.idempotency ? [send.idempotency] : []);
