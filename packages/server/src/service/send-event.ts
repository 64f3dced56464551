import { unavailable } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import * as keySettlements from "../store/key-settlements.ts";
import { lockKeys } from "../store/key-waits.ts";
import type * as settlements from "../store/settlements.ts";
import type { Queryable } from "../store/sql.ts";
import * as triggers from "../store/triggers.ts";
import type { Context } from "./context.ts";
import { type Batched, done, Lane, LOCK_TIMEOUT_MS, type Outcome, REQUESTS, refused } from "./lane.ts";
import { answerTwins, idOf, releaseKeys, storeAnswers, takeKeys } from "./send-once.ts";
import {
  delivered,
  keyOf,
  prepared,
  recordedAnswer,
  type SendAnswer,
  type SendEvent,
  type Sending,
} from "./sending.ts";
import { settlement } from "./settle-deliveries.ts";
import { settleRounds } from "./settle-sends.ts";
import { announceSettled } from "./settle-waits.ts";

/**
 * Delivers events to the triggers that wait for them, in batches. A send first tries the conditional update of the waiting
 * row; only a miss takes the row of its key and looks again (K4), in a transaction of its own, so that the hits of a batch
 * do not wait for it.
 */
export function sendEventLane(context: Context): Batched<SendEvent, SendAnswer> {
  const lane = new Lane<Sending, SendAnswer>({
    sizeOf: (send) => send.payload_text.length,
    subjectOf: keyOf,
    capacity: REQUESTS,
    async run(sends, repeated) {
      const outcomes = new Map<Sending, Outcome<SendAnswer>>();
      if (!repeated) await deliverHits(context, sends, outcomes);
      const misses = sends.filter((send) => !outcomes.has(send));
      if (misses.length > 0) {
        // What was delivered stays so, whatever becomes of the others.
        await decideMisses(context, misses, outcomes, repeated).catch((error: unknown) => {
          for (const send of misses) outcomes.set(send, refused(error));
        });
      }
      const answers = sends.map(
        (send) => outcomes.get(send) ?? refused(unavailable("the event was not handled; send it again")),
      );
      for (const answer of answers) context.metrics.sent(answer);
      return answers;
    },
  });
  return {
    add: (send) => lane.add(prepared(context, send)),
    idle: () => lane.idle(),
  };
}

async function deliverHits(
  context: Context,
  sends: readonly Sending[],
  outcomes: Map<Sending, Outcome<SendAnswer>>,
): Promise<void> {
  const candidates = firstOfEachKey(sends);
  const reserved = new Map(candidates.map((send) => [send, context.worker.reserve(send.project_id)]));
  const settled: settlements.SettledTrigger[] = [];
  try {
    const keyed = candidates.filter((send) => send.idempotency !== null);
    if (keyed.length === 0) await settleHits(context, context.db, candidates, reserved, settled);
    else {
      const hits = await context.db.transaction(
        (tx) => deliverKeyed(context, tx, candidates, keyed, reserved, outcomes),
        { lockTimeoutMs: LOCK_TIMEOUT_MS },
      );
      settled.push(...hits);
    }
  } finally {
    // What is settled goes on, whatever becomes of the others.
    giveBack(context, candidates, reserved, settled);
    announceSettled(context, settled);
    measureResumes(context, candidates, settled);
  }
  const byKey = new Map(candidates.map((send) => [keyOf(send), send]));
  for (const trigger of settled) {
    const send = byKey.get(keyOf(trigger));
    if (send) outcomes.set(send, done(delivered(trigger)));
  }
}

/** Adds to `settled` as it settles: the waits of runs that are free first, then those that need more. */
async function settleHits(
  context: Context,
  db: Queryable,
  sends: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  settled: settlements.SettledTrigger[],
): Promise<void> {
  const free = await keySettlements.settleFree(
    db,
    sends.map((send) => settlement(context, send, reserved.get(send))),
  );
  settled.push(...free.settled);
  if (free.rest.length > 0) settled.push(...(await keySettlements.settleByKey(db, free.rest)));
}

/** The same for sends with an Idempotency-Key: key, effect and stored answer are one transaction. */
async function deliverKeyed(
  context: Context,
  tx: Transaction,
  candidates: readonly Sending[],
  keyed: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  outcomes: Map<Sending, Outcome<SendAnswer>>,
): Promise<settlements.SettledTrigger[]> {
  const fresh = await takeKeys(tx, keyed, outcomes);
  const tried = candidates.filter((send) => send.idempotency === null || fresh.has(send));
  const settled: settlements.SettledTrigger[] = [];
  await settleHits(context, tx, tried, reserved, settled);
  const hits = new Map(settled.map((trigger) => [keyOf(trigger), trigger]));
  const answered = [...fresh].filter((send) => hits.has(keyOf(send)));
  const missed = [...fresh].filter((send) => !hits.has(keyOf(send)));
  await storeAnswers(tx, answered, (send) => {
    const trigger = hits.get(keyOf(send));
    return trigger && delivered(trigger);
  });
  await releaseKeys(tx, missed);
  return settled;
}

async function decideMisses(
  context: Context,
  sends: readonly Sending[],
  outcomes: Map<Sending, Outcome<SendAnswer>>,
  repeated: boolean,
): Promise<void> {
  const reserved = new Map(sends.map((send) => [send, context.worker.reserve(send.project_id)]));
  let settled: settlements.SettledTrigger[] = [];
  try {
    const decided = await context.db.transaction(
      async (tx) => {
        const answers = new Map<Sending, Outcome<SendAnswer>>();
        const fresh = await takeKeys(
          tx,
          sends.filter((send) => send.idempotency !== null),
          answers,
        );
        let open = sends.filter((send) => send.idempotency === null || fresh.has(send));
        await lockKeys(tx, open);
        if (repeated) open = await withoutRecorded(tx, open, answers);
        const ended = await settleRounds(context, tx, open, reserved, answers);
        await storeAnswers(tx, [...fresh], (send) => {
          const outcome = answers.get(send);
          return outcome?.ok ? outcome.value : undefined;
        });
        answerTwins(sends, fresh, answers);
        const failed = [...fresh].filter((send) => answers.get(send)?.ok !== true);
        await releaseKeys(tx, failed);
        return { answers, ended };
      },
      { lockTimeoutMs: LOCK_TIMEOUT_MS },
    );
    settled = decided.ended;
    for (const [send, outcome] of decided.answers) outcomes.set(send, outcome);
  } finally {
    giveBack(context, sends, reserved, settled);
  }
  announceSettled(context, settled);
  measureResumes(context, sends, settled);
}

/**
 * Sends events in an open transaction that holds nothing below the rows of keys, with the same decisions and effects as
 * any other send. The caller announces what has ended, after the commit.
 */
export async function sendWithin(
  context: Context,
  tx: Transaction,
  sends: readonly Sending[],
): Promise<{ outcomes: ReadonlyMap<Sending, Outcome<SendAnswer>>; settled: readonly settlements.SettledTrigger[] }> {
  const outcomes = new Map<Sending, Outcome<SendAnswer>>();
  if (sends.length === 0) return { outcomes, settled: [] };
  const reserved = new Map(sends.map((send) => [send, context.worker.reserve(send.project_id)]));
  let settled: settlements.SettledTrigger[] = [];
  try {
    await lockKeys(tx, sends);
    settled = await settleRounds(context, tx, sends, reserved, outcomes);
  } finally {
    giveBack(context, sends, reserved, settled);
  }
  tx.afterCommit(() => {
    for (const outcome of outcomes.values()) context.metrics.sent(outcome);
  });
  tx.afterRollback(() => {
    for (const { claimed } of settled.filter(isOfKey)) {
      if (claimed !== null) context.worker.release(claimed.project_id, 1);
    }
  });
  return { outcomes, settled };
}

/** After a broken connection: sends whose event stands already were committed, and are answered from what stands. */
async function withoutRecorded(
  tx: Transaction,
  sends: readonly Sending[],
  answers: Map<Sending, Outcome<SendAnswer>>,
): Promise<Sending[]> {
  const recorded = new Map((await events.findRecorded(tx, sends)).map((event) => [event.id, event]));
  for (const send of sends) {
    const event = recorded.get(send.event_id);
    if (!event) continue;
    // The trigger that the event met, which need not be the latest of its key any more.
    const met =
      event.trigger_id === null ? undefined : await triggers.findNumbered(tx, send.project_id, event.trigger_id);
    const answer = recordedAnswer(send, event, met?.row);
    if (answer) answers.set(send, answer);
  }
  return sends.filter((send) => !answers.has(send));
}

/** Of the runs that go on in this process: those of others are dispatched from the queue. */
function measureResumes(
  { metrics }: Context,
  sends: readonly Sending[],
  settled: readonly settlements.SettledTrigger[],
): void {
  const claimed = new Set(settled.filter((trigger) => trigger.claimed !== null).map(keyOf));
  const now = performance.now();
  for (const send of sends) if (claimed.delete(keyOf(send))) metrics.resumed(now - send.arrived_ms);
}

/** Of several sends to one key only the first may try at once; the others come after it. */
function firstOfEachKey(sends: readonly Sending[]): Sending[] {
  const seen = new Set<string>();
  const keys = new Set<string>();
  return sends.filter((send) => {
    const id = send.idempotency ? idOf(send.idempotency) : "";
    if (seen.has(keyOf(send)) || keys.has(id)) return false;
    seen.add(keyOf(send));
    if (id !== "") keys.add(id);
    return true;
  });
}

/** Of other triggers, such as the group that an answer decides, the runs start on reservations of their own. */
const isOfKey = ({ trigger_type }: settlements.SettledTrigger): boolean => trigger_type === "event";

function giveBack(
  { worker }: Context,
  sends: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  settled: readonly settlements.SettledTrigger[],
): void {
  const started = new Set(settled.filter((trigger) => trigger.claimed !== null && isOfKey(trigger)).map(keyOf));
  for (const send of sends) {
    const used = started.delete(keyOf(send));
    if (!used && reserved.get(send) != null) worker.release(send.project_id, 1);
  }
}
