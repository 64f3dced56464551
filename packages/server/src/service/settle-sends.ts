import type { LatestTrigger, SendDecision } from "../domain/decide-send.ts";
import type { StraitError } from "../domain/errors.ts";
import { meet, NOBODY, type Standing } from "../domain/meet.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import type * as settlements from "../store/settlements.ts";
import { json } from "../store/sql.ts";
import { markDecisive } from "../store/wait-groups.ts";
import { limitBuffered } from "./buffer-limit.ts";
import type { Context } from "./context.ts";
import { judgeOf } from "./decide.ts";
import { lockStandings } from "./key-standing.ts";
import { done, type Outcome, refused } from "./lane.ts";
import { bufferedAnswer, delivered, keyOf, type SendAnswer, type Sending, wire } from "./sending.ts";
import { type Delivery, type Settled, settleDeliveries } from "./settle-deliveries.ts";
import { decideGroups } from "./wait-groups.ts";

/**
 * Works off the sends of each key in the order of their arrival: one winner, and the others are answered as if they had
 * come later. The key rows are locked, and so is what waits on them, so the state read here holds until the commit. Waits
 * that share a key are answered together: all that an event is meant for take it, or refuse it. Each answer of a group may
 * close the waits of the next send, so there are as many rounds as a group is sent keys.
 */
export async function settleRounds(
  context: Context,
  tx: Transaction,
  all: readonly Sending[],
  reserved: ReadonlyMap<Sending, number | null>,
  answers: Map<Sending, Outcome<SendAnswer>>,
): Promise<settlements.SettledTrigger[]> {
  const settled: settlements.SettledTrigger[] = [];
  for (let left = all; left.length > 0; ) {
    const { standings, ended } = await lockStandings(context, tx, left);
    const { sends, later } = takeTurns(left, standings);
    const round = await settleRound(context, tx, { sends, standings }, reserved, answers);
    settled.push(...ended, ...round.settled);
    left = [...round.missed, ...later];
  }
  return settled;
}

/** Of the sends to members of one group, only those to one key take part in a round. */
function takeTurns(
  all: readonly Sending[],
  standings: ReadonlyMap<string, Standing>,
): { sends: readonly Sending[]; later: readonly Sending[] } {
  const turns = new Map<string, string>();
  const later: Sending[] = [];
  const sends = all.filter((send) => {
    const key = keyOf(send);
    const groups = groupsOf(standings.get(key));
    const isFree = groups.every((group) => (turns.get(group) ?? key) === key);
    if (isFree) for (const group of groups) turns.set(group, key);
    else later.push(send);
    return isFree;
  });
  return { sends, later };
}

const groupsOf = (standing: Standing = NOBODY): string[] => standing.waiting.flatMap(({ group_id }) => group_id ?? []);

interface Round {
  readonly settled: readonly settlements.SettledTrigger[];
  /** Those whose waits came to their deadlines between the look and the delivery, with those behind them: they look again. */
  readonly missed: readonly Sending[];
}

async function settleRound(
  context: Context,
  tx: Transaction,
  { sends, standings }: { readonly sends: readonly Sending[]; readonly standings: Map<string, Standing> },
  reserved: ReadonlyMap<Sending, number | null>,
  answers: Map<Sending, Outcome<SendAnswer>>,
): Promise<Round> {
  const states = new Map<string, LatestTrigger>();
  const decisions = new Map<Sending, SendDecision>();
  const deliveries: Delivery[] = [];
  for (const send of sends) {
    const standing = standings.get(keyOf(send)) ?? NOBODY;
    const { met: state, others, hearing, decision } = meet(standing, send, judgeOf(send.project_id));
    if (state) states.set(keyOf(send), state);
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
  const taken = await settleDeliveries(context, tx, deliveries, reserved);
  const { received, late, takers } = taken;
  const besides = await decideGroups(context, tx, [...received, ...late]);
  const decided = new Set(besides.flatMap(({ id, status }) => (status === "received" ? [id] : [])));
  for (const [send, taker] of takers) states.set(keyOf(send), taker);
  const missed = missedOf(sends, deliveries, takers, late);
  const answered = sends.filter((send) => !missed.has(send));

  const buffered = await record(tx, answered, { states, decisions, taken });
  for (const send of answered) {
    const decision = decisions.get(send);
    const state = takers.get(send) ?? states.get(keyOf(send));
    if (decision?.kind === "refuse") answers.set(send, refused(decision.error));
    else if (decision?.kind === "buffer")
      answers.set(send, done(bufferedAnswer(send, buffered.get(send.event_id) ?? "")));
    else if (decision?.kind === "deliver" && state) {
      const isEnough = state.group_id === null || decided.has(state.group_id);
      answers.set(send, done(delivered(state, isEnough ? "delivered" : "recorded")));
      if (state.group_id !== null && isEnough) await markDecisive(tx, send.project_id, send.event_id);
    } else if (decision?.kind === "duplicate" && state) {
      answers.set(send, done({ status: 200, body: wire(state, "duplicate") }));
    }
  }
  return { settled: [...received, ...late, ...besides], missed: [...missed] };
}

/** Sends that nobody took in time, and those behind them on their keys, which were decided as if somebody had. */
function missedOf(
  sends: readonly Sending[],
  deliveries: readonly Delivery[],
  takers: ReadonlyMap<Sending, LatestTrigger>,
  late: readonly settlements.SettledTrigger[],
): ReadonlySet<Sending> {
  const missed = new Set<Sending>();
  if (late.length === 0) return missed;
  const delivered = new Set(deliveries.map(({ send }) => send));
  const lateKeys = new Set(late.map(keyOf));
  const isBehind = new Set<string>();
  for (const send of sends) {
    const key = keyOf(send);
    if (!lateKeys.has(key) || takers.has(send)) continue;
    if (delivered.has(send)) isBehind.add(key);
    if (isBehind.has(key)) missed.add(send);
  }
  return missed;
}

const deadLetterReasons = { conflict: "conflict", late: "late", rejected: "payload_mismatch" } as const;
const issuesOf = ({ details }: StraitError): string | null => json(details.issues);

interface Decided {
  readonly states: ReadonlyMap<string, LatestTrigger>;
  readonly decisions: ReadonlyMap<Sending, SendDecision>;
  readonly taken: Settled;
}

/** How an event is recorded; null for one that the end of its wait has recorded. */
function dispositionOf(send: Sending, { decisions, taken }: Decided): events.NewEvent["disposition"] | null {
  const decision = decisions.get(send);
  if (decision?.kind === "buffer") return "buffered";
  if (decision?.kind === "duplicate") return "duplicate";
  if (decision?.kind === "refuse") return decision.record;
  if (!taken.unrecorded.has(send)) return null;
  return taken.takers.get(send)?.group_id == null ? "delivered" : "recorded";
}

/** Writes the rows of sends that no wait has recorded; returns when buffered ones expire. */
async function record(
  tx: Transaction,
  sends: readonly Sending[],
  decided: Decided,
): Promise<ReadonlyMap<string, string>> {
  const { states, decisions, taken } = decided;
  const rows = sends.flatMap((send): events.NewEvent[] => {
    const decision = decisions.get(send);
    const state = taken.takers.get(send) ?? states.get(keyOf(send));
    const disposition = dispositionOf(send, decided);
    if (disposition === null) return [];
    // Nobody reads the refusal of what a step has emitted.
    const isUnheard = send.channel === "emit" && decision?.kind === "refuse" && decision.record !== null;
    const isKept = disposition !== "rejected" || isUnheard;
    return [
      {
        project_id: send.project_id,
        id: send.event_id,
        environment_id: send.environment_id,
        event_key: send.event_key,
        trigger_id: state?.id ?? null,
        generation: state?.generation ?? null,
        disposition,
        payload: isKept ? send.payload_text : "null",
        payload_digest: isKept ? null : events.payloadDigest(send.payload),
        actor: send.actor,
        channel: send.channel,
        idempotency_key: send.idempotency_key,
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
