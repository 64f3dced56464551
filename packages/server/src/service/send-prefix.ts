import type { PrefixDryRun, SentEvent, SentPrefix } from "@strait/contract";
import { otherSet, tooManyForOne } from "../domain/conflicts.ts";
import type { SendDecision } from "../domain/decide-send.ts";
import { StraitError } from "../domain/errors.ts";
import { isExpected } from "../domain/expected-set.ts";
import type { PrefixSendInput } from "../domain/request-defaults.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import { settleQueued } from "../store/prefix-settlements.ts";
import * as settlements from "../store/settlements.ts";
import { json } from "../store/sql.ts";
import { keysUnder, type SetSummary, type WaitingTrigger, waitingUnder } from "../store/trigger-sets.ts";
import * as triggers from "../store/triggers.ts";
import { type Caller, type Context, joinedContext } from "./context.ts";
import { judgeOf } from "./decide.ts";
import { done, refused } from "./lane.ts";
import { idsOf, keyIn, lockPage } from "./prefix-page.ts";
import { sendWithin } from "./send-event.ts";
import { prepared, wire } from "./sending.ts";
import { announceSettled, settleWaits, timedOut } from "./settle-waits.ts";

/** An event on its way to every wait under a prefix. */
export interface PrefixSend extends PrefixSendInput {
  readonly idempotency_key: string | null;
}

/** More in one statement gains little, and holds its locks longer (P6): these take some 30 ms. */
const CHUNK = 500;
/** Every member of a statement, and every trigger of an answer, carries the payload; the latter its question, too. */
const MAX_STATEMENT_BYTES = 4 * 1024 * 1024;
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/**
 * Answers every exclusive wait under a prefix with one payload, a page at a time. Each wait's end and the wake-up of its
 * owner are one statement; groups of waits are transactions of their own, so that others get their turn. Under `atomic`, or
 * with an idempotency key, whose stored answer tells of all, the page is one transaction.
 *
 * @throws {StraitError} `expectation_failed`; `validation_error` for the cursor; under `atomic` whatever one wait refuses.
 */
export function sendPrefix(context: Context, caller: Caller, send: PrefixSend): Promise<SentPrefix | PrefixDryRun> {
  if (send.dry_run) return dryRun(context, caller, send);
  const isWhole = send.mode === "atomic" || send.idempotency_key !== null;
  if (!isWhole) return sendPage(context, caller, send, false);
  return context.db.transaction((tx) => sendPage(joinedContext(context, tx), caller, send, true));
}

async function sendPage(context: Context, caller: Caller, send: PrefixSend, isWhole: boolean): Promise<SentPrefix> {
  const payload = JSON.stringify(send.payload);
  const bytes = Buffer.byteLength(payload);
  const withSummary = send.expect.count !== undefined || send.expect.digest !== undefined;
  const room = { bytes: MAX_ANSWER_BYTES, payload_bytes: bytes };
  const { page, summary } = await waitingUnder(
    context.db,
    { ...setOf(caller, send), limit: send.limit, withSummary },
    room,
  );
  if (summary) checkExpected(send, summary);
  const { has_more, next_cursor } = page;
  if (send.mode === "atomic" && has_more) throw tooManyForOne(page.data.length);
  const found = isWhole ? await lockPage(context, caller, page.data, send.mode) : page.data;

  const event: Event = {
    caller,
    idempotency_key: send.idempotency_key,
    payload: send.payload,
    payload_text: payload,
    isContended: false,
  };
  const answer: SentPrefix = { dry_run: false, resolved: 0, triggers: [], skipped: [], has_more, next_cursor };
  const size = Math.min(CHUNK, atLeastOne(MAX_STATEMENT_BYTES / bytes));
  for (let start = 0; start < found.length; start += size) {
    const members = found.slice(start, start + size);
    const answers = await deliver(context, event, members);
    for (const { id: trigger_id, event_key } of members) {
      const { trigger, error } = answers.get(trigger_id) ?? {};
      if (trigger) answer.triggers.push(trigger);
      if (!error) continue;
      if (send.mode === "atomic") throw error;
      answer.skipped.push({ event_key, trigger_id, code: error.code, message: error.message });
    }
  }
  answer.resolved = answer.triggers.filter(({ disposition }) => disposition !== "duplicate").length;
  return answer;
}

async function dryRun(context: Context, caller: Caller, send: PrefixSend): Promise<PrefixDryRun> {
  const { page, summary } = await keysUnder(context.db, { ...setOf(caller, send), limit: send.limit });
  checkExpected(send, summary);
  const { data, has_more, next_cursor } = page;
  return { dry_run: true, ...summary, keys: data.map(({ event_key }) => event_key), has_more, next_cursor };
}

const setOf = ({ projectId, environmentId }: Caller, { prefix, cursor }: PrefixSend) => ({
  project_id: projectId,
  environment_id: environmentId,
  prefix,
  cursor,
});

const atLeastOne = (count: number): number => Math.max(1, Math.floor(count));

function checkExpected({ expect }: PrefixSend, found: SetSummary): void {
  if (!isExpected(expect, found)) throw otherSet(found);
}

interface Event {
  readonly caller: Caller;
  readonly idempotency_key: string | null;
  readonly payload: unknown;
  readonly payload_text: string;
  /** After rows that others hold were met: the next ones are settled one by one, too. */
  isContended: boolean;
}

/** What became of one member. */
type Answer =
  | { readonly trigger: SentEvent; readonly error?: never }
  | { readonly error: StraitError; readonly trigger?: never };

/** Answers the members that wait as they should at once, then looks again at the others: held, overdue, ended, unfit. */
async function deliver(
  context: Context,
  event: Event,
  all: readonly WaitingTrigger[],
): Promise<ReadonlyMap<string, Answer>> {
  const members = all.filter((member) => !member.is_shared);
  const fitting = members.filter((member) => fits(member, event));
  const settled = await context.db.transaction((tx) => settle(context, tx, event, fitting));
  announceSettled(context, settled);
  const answers = new Map<string, Answer>(settled.map((trigger) => [trigger.id, received(trigger)]));
  const missed = members.filter((member) => !answers.has(member.id));
  if (missed.length > 0) for (const [id, answer] of await lookAgain(context, event, missed)) answers.set(id, answer);
  for (const answer of answers.values()) {
    context.metrics.sent(answer.trigger ? done({ body: answer.trigger }) : refused(answer.error));
  }
  // Those that somebody has joined since the look are without an answer, too.
  const shared = all.filter((member) => !answers.has(member.id));
  if (shared.length > 0) for (const [id, answer] of await sendShared(context, event, shared)) answers.set(id, answer);
  return answers;
}

/** Answers keys that several wait on as a single send does: all of a key or none, and no other generation. */
async function sendShared(
  context: Context,
  event: Event,
  members: readonly WaitingTrigger[],
): Promise<ReadonlyMap<string, Answer>> {
  const { caller } = event;
  const sends = new Map(
    members.map((member) => {
      const meant = { ...keyIn(caller, member), generation: member.generation, trigger_id: null };
      const send = { ...meant, payload: event.payload, if_no_waiter: "fail", for_next: false, ttl_secs: 0 } as const;
      const request = { ...send, actor: caller.actor, channel: "batch", idempotency: null } as const;
      return [member.id, prepared(context, request, event.idempotency_key)];
    }),
  );
  const { outcomes, settled } = await context.db.transaction((tx) => sendWithin(context, tx, [...sends.values()]));
  announceSettled(context, settled);
  const answers = new Map<string, Answer>();
  for (const [id, send] of sends) {
    const outcome = outcomes.get(send);
    if (outcome?.ok && outcome.value.status === 200) answers.set(id, { trigger: outcome.value.body });
    else if (!outcome?.ok && outcome?.error instanceof StraitError) answers.set(id, { error: outcome.error });
    else throw new Error("an event was not decided", { cause: outcome });
  }
  return answers;
}

/**
 * The same decision as for a single send, one wait at a time, with the rows locked: here it is final. Waits that somebody
 * has joined meanwhile have no answer here.
 */
async function lookAgain(
  context: Context,
  event: Event,
  all: readonly WaitingTrigger[],
): Promise<ReadonlyMap<string, Answer>> {
  const { projectId } = event.caller;
  const { answers, ended } = await context.db.transaction(async (tx) => {
    await triggers.lockAll(tx, projectId, idsOf(all));
    const joined = new Set(idsOf(await triggers.sharedAmong(tx, projectId, idsOf(all))));
    const members = all.filter((member) => !joined.has(member.id));
    const states = new Map((await triggers.statesOf(tx, projectId, idsOf(members))).map((state) => [state.id, state]));
    const overdue = [...states.values()].filter((state) => state.overdue);
    const ended = await settleWaits(
      context,
      tx,
      "timeOut",
      true,
      overdue.map((state) => timedOut(projectId, state.id)),
    );
    for (const trigger of ended) states.set(trigger.id, { ...trigger, overdue: false });

    const decisions = new Map(members.map((member) => [member.id, decideFor(states.get(member.id), member, event)]));
    const open = members.filter((member) => decisions.get(member.id)?.kind === "deliver");
    const settled = await settle(context, tx, event, open);
    const answers = new Map<string, Answer>(settled.map((trigger) => [trigger.id, received(trigger)]));
    await record(context, tx, event, members, states, decisions);
    for (const { id } of members) {
      const decision = decisions.get(id);
      const state = states.get(id);
      if (decision?.kind === "refuse") answers.set(id, { error: decision.error });
      if (decision?.kind === "duplicate" && state) {
        answers.set(id, { trigger: wire(state, "duplicate") });
      }
    }
    return { answers, ended: [...ended, ...settled] };
  });
  announceSettled(context, ended);
  return answers;
}

function decideFor(state: triggers.KeyState | undefined, member: WaitingTrigger, event: Event): SendDecision {
  const { event_key, id: trigger_id } = member;
  const { payload, caller } = event;
  const send = { event_key, payload, actor: caller.actor, if_no_waiter: "fail", for_next: false } as const;
  return judgeOf(caller.projectId).decide(state, { ...send, generation: null, trigger_id });
}

const fits = (member: WaitingTrigger, { payload, caller }: Event): boolean =>
  judgeOf(caller.projectId).misfits(member, { event_key: member.event_key, payload, actor: caller.actor }).length === 0;

/** Ends waits with the event, and starts their runs here as far as there is room. Announced by the caller. */
async function settle(
  { clock, worker }: Context,
  tx: Transaction,
  event: Event,
  members: readonly WaitingTrigger[],
): Promise<settlements.SettledTrigger[]> {
  if (members.length === 0) return [];
  const { projectId, actor } = event.caller;
  const all = members.map((wait) => ({
    wait,
    event_id: clock.newId("evt"),
    lease_id: wait.job_run_id === null ? null : worker.reserve(projectId),
  }));
  const told = {
    project_id: projectId,
    payload: event.payload_text,
    actor,
    channel: "batch",
    idempotency_key: event.idempotency_key,
  };
  const ofQueue = all.filter(({ lease_id, wait }) => lease_id === null && wait.job_run_id !== null);
  let unused = all.filter(({ lease_id }) => lease_id !== null).length;
  try {
    const tried = event.isContended ? [] : await settleQueued(tx, told, ofQueue);
    if (tried === undefined) event.isContended = true;
    const queued = tried ?? [];
    const ended = new Set(idsOf(queued));
    const rest = all.filter(({ wait }) => !ended.has(wait.id));
    if (rest.length === 0) return queued;
    const settled = await settlements.settleAlone(
      tx,
      "receive",
      rest.map(({ wait: { id }, event_id, lease_id }) => {
        const of = { id, event_id, lease_id, delivery_id: clock.newId("whd") };
        return { ...told, ...of, error: null, due: false };
      }),
    );
    const started = settled.filter((trigger) => trigger.claimed !== null).length;
    unused -= started;
    tx.afterRollback(() => worker.release(projectId, started));
    return [...queued, ...settled];
  } finally {
    worker.release(projectId, unused);
  }
}

/** Writes the rows of events that settled nothing. One that is not valid is kept without its payload. */
async function record(
  { clock }: Context,
  tx: Transaction,
  event: Event,
  members: readonly WaitingTrigger[],
  states: ReadonlyMap<string, triggers.KeyState>,
  decisions: ReadonlyMap<string, SendDecision>,
): Promise<void> {
  const rows = members.flatMap(({ id, event_key }): events.NewEvent[] => {
    const decision = decisions.get(id);
    const disposition =
      decision?.kind === "duplicate" ? "duplicate" : decision?.kind === "refuse" ? decision.record : null;
    if (disposition === null) return [];
    return [
      {
        project_id: event.caller.projectId,
        id: clock.newId("evt"),
        environment_id: event.caller.environmentId,
        event_key,
        trigger_id: id,
        generation: states.get(id)?.generation ?? null,
        disposition,
        payload: disposition === "rejected" ? "null" : event.payload_text,
        payload_digest: disposition === "rejected" ? events.payloadDigest(event.payload) : null,
        actor: event.caller.actor,
        channel: "batch",
        idempotency_key: event.idempotency_key,
        is_rejection: false,
        for_next: false,
        ttl_secs: null,
        issues: decision?.kind === "refuse" ? json(decision.error.details.issues) : null,
      },
    ];
  });
  if (rows.length > 0) await events.insert(tx, rows);
}

const received = (trigger: settlements.SettledTrigger): Answer => ({
  trigger: wire(trigger, "delivered"),
});
