import { jsonEquals } from "@strait/core";
import type { LatestTrigger, SendDecision } from "../domain/decide-send.ts";
import type { StraitError } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import { type EventKey, nameLatest } from "../store/key-waits.ts";
import * as settlements from "../store/settlements.ts";
import { json } from "../store/sql.ts";
import { markDecisive } from "../store/wait-groups.ts";
import { limitBuffered } from "./buffer-limit.ts";
import type { Context } from "./context.ts";
import { decide, hears } from "./decide.ts";
import { lockStandings, metBy, NOBODY } from "./key-standing.ts";
import { done, type Outcome, refused } from "./lane.ts";
import { bufferedAnswer, delivered, keyOf, type SendAnswer, type Sending, wire } from "./sending.ts";
import { decideGroups } from "./wait-groups.ts";

/**
 * Works off the sends of each key in the order of their arrival: one winner, and the others are answered as if they had
 * come later. The key rows are locked, and so is what waits on them, so the state read here holds until the commit. Waits
 * that share a key are answered together: all that an event is meant for take it, or refuse it. Sends to members of groups
 * follow each other, since each may close the waits of the next.
 */
export async function settleRounds(
  context: Context,
  tx: Transaction,
  all: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  answers: Map<Sending, Outcome<SendAnswer>>,
): Promise<settlements.SettledTrigger[]> {
  const { standings, ended } = await lockStandings(context, tx, all);
  const isGrouped = (send: Sending) => standings.get(keyOf(send))?.waiting.some(({ group_id }) => group_id !== null);
  const grouped = all.length > 1 ? all.filter(isGrouped) : [];
  const sends = grouped.length === 0 ? all : all.filter((send) => !grouped.includes(send));
  const states = new Map<string, LatestTrigger>();
  const decisions = new Map<Sending, SendDecision>();
  const deliveries: Delivery[] = [];
  for (const send of sends) {
    const standing = standings.get(keyOf(send)) ?? NOBODY;
    const isNamed = send.generation !== null || send.trigger_id !== null;
    const hearing = isNamed ? standing.waiting : standing.waiting.filter((member) => hears(member, send));
    const isRepeat = hearing.length === 0 && !send.for_next && repeats(standing.latest, send);
    const state = metBy(hearing.length > 0 || isRepeat ? { ...standing, waiting: hearing } : standing, send.trigger_id);
    if (state) states.set(keyOf(send), state);
    const others = hearing.filter((member) => member !== state);
    const decision = decideAll(state, others, send);
    decisions.set(send, decision);
    if (decision.kind === "deliver" && state) {
      deliveries.push({ send, met: state, others, latest: standing.latest });
      const answered = (trigger: LatestTrigger): LatestTrigger => ({
        ...trigger,
        status: "received",
        response_payload: send.payload,
      });
      const latest = answered(state);
      const heard = new Set(hearing);
      const deaf = standing.waiting.filter((member) => !heard.has(member));
      standings.set(keyOf(send), { waiting: deaf, latest, named: others.map(answered) });
      states.set(keyOf(send), latest);
    }
  }

  await limitBuffered(tx, sends, decisions);
  const received = await settleDeliveries(context, tx, deliveries, reserved);
  const met = new Set(deliveries.map((delivery) => delivery.met.id));
  for (const trigger of received) if (met.has(trigger.id)) states.set(keyOf(trigger), { ...trigger, overdue: false });
  const receivedKeys = new Set(received.map(keyOf));
  const besides = await decideGroups(context, tx, received);
  const decided = new Set(besides.flatMap(({ id, status }) => (status === "received" ? [id] : [])));

  const buffered = await record(tx, sends, states, decisions);
  for (const send of sends) {
    const decision = decisions.get(send);
    const state = states.get(keyOf(send));
    if (decision?.kind === "refuse") answers.set(send, refused(decision.error));
    else if (decision?.kind === "buffer")
      answers.set(send, done(bufferedAnswer(send, buffered.get(send.event_id) ?? "")));
    else if (decision && state && receivedKeys.has(keyOf(send)) && decision.kind === "deliver") {
      const isEnough = state.group_id === null || decided.has(state.group_id);
      answers.set(send, done(delivered(state, isEnough ? "delivered" : "recorded")));
      if (state.group_id !== null && isEnough) await markDecisive(tx, send.project_id, send.event_id);
    } else if (decision?.kind === "duplicate" && state) {
      answers.set(send, done({ status: 200, body: wire(state, "duplicate") }));
    }
  }
  const settled = [...ended, ...received, ...besides];
  for (const send of grouped) settled.push(...(await settleRounds(context, tx, [send], reserved, answers)));
  return settled;
}

/** Whether the event says again what has answered those that have waited beside these: it was not meant for the next. */
const repeats = (latest: LatestTrigger | undefined, { payload }: Sending): boolean =>
  latest?.status === "received" && jsonEquals(latest.response_payload, payload);

/** What becomes of an event that several waits would take: what all of them agree to. */
function decideAll(met: LatestTrigger | undefined, others: readonly LatestTrigger[], send: Sending): SendDecision {
  const decision = decide(met, send);
  if (decision.kind !== "deliver") return decision;
  const unnamed = { ...send, trigger_id: null };
  for (const other of others) {
    const another = decide(other, unnamed);
    if (another.kind !== "deliver") return another;
  }
  return decision;
}

/** An event, and the waits that it ends. */
interface Delivery {
  readonly send: Sending;
  /** The one that the answer shows. */
  readonly met: LatestTrigger;
  readonly others: readonly LatestTrigger[];
  readonly latest: LatestTrigger | undefined;
}

/** More in one statement gains nothing; every wait carries the payload to it. */
const MAX_ROWS = 500;
const MAX_BYTES = 4 * 1024 * 1024;

async function settleDeliveries(
  context: Context,
  tx: Transaction,
  deliveries: readonly Delivery[],
  reserved: ReadonlyMap<Sending, number | null>,
): Promise<settlements.SettledTrigger[]> {
  const settled: settlements.SettledTrigger[] = [];
  let rows: settlements.Settlement[] = [];
  let bytes = 0;
  const flush = async () => {
    settled.push(...(await settlements.settle(tx, "receive", rows)));
    rows = [];
    bytes = 0;
  };
  for (const { send, met, others } of deliveries) {
    for (const { id } of [met, ...others]) {
      const isMet = id === met.id;
      const row = { ...settlement(context, send, isMet ? reserved.get(send) : null), id, due: false };
      rows.push(isMet ? row : { ...row, event_id: null });
      bytes += send.payload_text.length;
      if (rows.length === MAX_ROWS || bytes > MAX_BYTES) await flush();
    }
  }
  if (rows.length > 0) await flush();
  // A repeat of the event has to meet an answer, not a wait that was called off by itself.
  const renamed = deliveries.filter(({ met, latest }) => met.id !== latest?.id);
  await nameLatest(
    tx,
    renamed.map(({ met, send }) => ({ ...keyIn(send), generation: met.generation, trigger_id: met.id })),
  );
  return settled;
}

const keyIn = ({ project_id, environment_id, event_key }: EventKey): EventKey => ({
  project_id,
  environment_id,
  event_key,
});

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

/** A send as the statement takes it that ends waits. */
export function settlement(
  context: Context,
  send: Sending,
  leaseId: number | null | undefined,
): settlements.KeySettlement {
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
