import type { LatestTrigger, SendDecision } from "../domain/decide-send.ts";
import { type StraitError, unavailable } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import { json } from "../store/sql.ts";
import * as triggers from "../store/triggers.ts";
import type { Context } from "./context.ts";
import { decide } from "./decide.ts";
import { type Batched, done, Lane, LOCK_TIMEOUT_MS, type Outcome, REQUESTS, refused } from "./lane.ts";
import { answerTwins, idOf, releaseKeys, storeAnswers, takeKeys } from "./send-once.ts";
import {
  bufferedAnswer,
  delivered,
  keyOf,
  prepared,
  recordedAnswer,
  type SendAnswer,
  type SendEvent,
  type Sending,
  wire,
} from "./sending.ts";
import { announceSettled, settleWaits, timedOut } from "./settle-waits.ts";

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
  let settled: triggers.SettledTrigger[] = [];
  try {
    const keyed = candidates.filter((send) => send.idempotency !== null);
    settled =
      keyed.length === 0
        ? await triggers.settleByKey(
            context.db,
            candidates.map((send) => settlement(context, send, reserved.get(send))),
          )
        : await context.db.transaction((tx) => deliverKeyed(context, tx, candidates, keyed, reserved, outcomes), {
            lockTimeoutMs: LOCK_TIMEOUT_MS,
          });
  } finally {
    giveBack(context, candidates, reserved, settled);
  }
  const byKey = new Map(candidates.map((send) => [keyOf(send), send]));
  for (const trigger of settled) {
    const send = byKey.get(keyOf(trigger));
    if (send) outcomes.set(send, done(delivered(trigger)));
  }
  announceSettled(context, settled);
  measureResumes(context, candidates, settled);
}

/** The same for sends with an Idempotency-Key: key, effect and stored answer are one transaction. */
async function deliverKeyed(
  context: Context,
  tx: Transaction,
  candidates: readonly Sending[],
  keyed: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  outcomes: Map<Sending, Outcome<SendAnswer>>,
): Promise<triggers.SettledTrigger[]> {
  const fresh = await takeKeys(tx, keyed, outcomes);
  const tried = candidates.filter((send) => send.idempotency === null || fresh.has(send));
  const settled = await triggers.settleByKey(
    tx,
    tried.map((send) => settlement(context, send, reserved.get(send))),
  );
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
  let settled: triggers.SettledTrigger[] = [];
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
        await triggers.lockKeys(tx, open);
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
): Promise<{ outcomes: ReadonlyMap<Sending, Outcome<SendAnswer>>; settled: readonly triggers.SettledTrigger[] }> {
  const outcomes = new Map<Sending, Outcome<SendAnswer>>();
  if (sends.length === 0) return { outcomes, settled: [] };
  const reserved = new Map(sends.map((send) => [send, context.worker.reserve(send.project_id)]));
  let settled: triggers.SettledTrigger[] = [];
  try {
    await triggers.lockKeys(tx, sends);
    settled = await settleRounds(context, tx, sends, reserved, outcomes);
  } finally {
    giveBack(context, sends, reserved, settled);
  }
  tx.afterCommit(() => {
    for (const outcome of outcomes.values()) context.metrics.sent(outcome);
  });
  tx.afterRollback(() => {
    for (const { claimed } of settled) if (claimed !== null) context.worker.release(claimed.project_id, 1);
  });
  return { outcomes, settled };
}

/**
 * Works off the sends of each key in the order of their arrival: one winner, and the others are answered as if they had
 * come later. The key rows are locked, and so is what waits on them, so the state read here holds until the commit.
 */
async function settleRounds(
  context: Context,
  tx: Transaction,
  sends: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  answers: Map<Sending, Outcome<SendAnswer>>,
): Promise<triggers.SettledTrigger[]> {
  await triggers.lockWaiting(tx, sends);
  const states = new Map<string, LatestTrigger>();
  for (const state of await triggers.latestOf(tx, sends)) states.set(keyOf(state), state);

  const overdue = [...states.values()].filter((state) => state.overdue);
  const ended = await settleWaits(
    context,
    tx,
    "timeOut",
    true,
    overdue.map((state) => timedOut(state.project_id, state.id)),
  );
  for (const trigger of ended) states.set(keyOf(trigger), { ...trigger, overdue: false });

  const decisions = new Map<Sending, SendDecision>();
  const deliveries: Sending[] = [];
  for (const send of sends) {
    const state = states.get(keyOf(send));
    const decision = decide(state, send);
    decisions.set(send, decision);
    if (decision.kind === "deliver" && state) {
      deliveries.push(send);
      states.set(keyOf(send), { ...state, status: "received", response_payload: send.payload });
    }
  }

  const received = await triggers.settle(
    tx,
    "receive",
    deliveries.map((send) => ({
      ...settlement(context, send, reserved.get(send)),
      id: states.get(keyOf(send))?.id ?? "",
      due: false,
    })),
  );
  for (const trigger of received) states.set(keyOf(trigger), { ...trigger, overdue: false });
  const receivedKeys = new Set(received.map(keyOf));

  const buffered = await record(tx, sends, states, decisions);
  for (const send of sends) {
    const decision = decisions.get(send);
    const state = states.get(keyOf(send));
    if (decision?.kind === "refuse") answers.set(send, refused(decision.error));
    else if (decision?.kind === "buffer")
      answers.set(send, done(bufferedAnswer(send, buffered.get(send.event_id) ?? "")));
    else if (decision && state && receivedKeys.has(keyOf(send)) && decision.kind === "deliver") {
      answers.set(send, done(delivered(state)));
    } else if (decision?.kind === "duplicate" && state) {
      answers.set(send, done({ status: 200, body: { ...wire(state), disposition: "duplicate" } }));
    }
  }
  return [...ended, ...received];
}

const deadLetterReasons = { conflict: "conflict", late: "late", rejected: "payload_mismatch" } as const;
const issuesOf = ({ details }: StraitError): string | null => json(details.issues);

/** Writes the rows of sends that settled nothing; returns when buffered ones expire. */
async function record(
  tx: Transaction,
  sends: readonly Sending[],
  states: ReadonlyMap<string, LatestTrigger>,
  decisions: ReadonlyMap<Sending, SendDecision>,
): Promise<ReadonlyMap<string, string>> {
  const rows = sends.flatMap((send): events.NewEvent[] => {
    const decision = decisions.get(send);
    const state = states.get(keyOf(send));
    const disposition =
      decision?.kind === "buffer"
        ? "buffered"
        : decision?.kind === "duplicate"
          ? "duplicate"
          : decision?.kind === "refuse"
            ? decision.record
            : null;
    if (disposition === null) return [];
    // Nobody reads the refusal of what a step has emitted.
    const isUnheard = send.channel === "emit" && decision?.kind === "refuse" && decision.record !== null;
    return [
      {
        project_id: send.project_id,
        id: send.event_id,
        environment_id: send.environment_id,
        event_key: send.event_key,
        trigger_id: state?.id ?? null,
        generation: state?.generation ?? null,
        disposition,
        payload: disposition === "rejected" && !isUnheard ? "null" : send.payload_text,
        payload_digest: send.payload_digest,
        actor: send.actor,
        channel: send.channel,
        idempotency_key: send.idempotency?.key ?? null,
        is_rejection: false,
        for_next: send.for_next,
        ttl_secs: disposition === "buffered" ? send.ttl_secs : null,
        issues: decision?.kind === "refuse" ? issuesOf(decision.error) : null,
        dead_letter_reason: isUnheard ? deadLetterReasons[decision.record] : null,
      },
    ];
  });
  if (rows.length === 0) return new Map();
  const written = await events.insert(tx, rows);
  return new Map(written.map((row) => [row.id, row.expires_at ?? ""]));
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

function settlement(context: Context, send: Sending, leaseId: number | null | undefined): triggers.KeySettlement {
  return {
    project_id: send.project_id,
    environment_id: send.environment_id,
    event_key: send.event_key,
    generation: send.generation,
    trigger_id: send.trigger_id,
    payload: send.payload_text,
    payload_digest: send.payload_digest,
    actor: send.actor,
    channel: send.channel,
    event_id: send.event_id,
    idempotency_key: send.idempotency?.key ?? null,
    delivery_id: context.clock.newId("whd"),
    error: null,
    lease_id: leaseId ?? null,
  };
}

/** Of the runs that go on in this process: those of others are dispatched from the queue. */
function measureResumes(
  { metrics }: Context,
  sends: readonly Sending[],
  settled: readonly triggers.SettledTrigger[],
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

function giveBack(
  { worker }: Context,
  sends: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  settled: readonly triggers.SettledTrigger[],
): void {
  const started = new Set(settled.filter((trigger) => trigger.claimed !== null).map(keyOf));
  for (const send of sends) {
    const used = started.delete(keyOf(send));
    if (!used && reserved.get(send) != null) worker.release(send.project_id, 1);
  }
}
