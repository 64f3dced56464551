import { isDeepStrictEqual } from "node:util";
import type { Dispatch } from "../server.ts";
import { type GroupRow, isGroup, type MessageRow, type RunRow, type TriggerRow } from "./evidence.ts";
import { codeOf, ofAnswer } from "./judge-answers.ts";
import { ofInbox } from "./judge-inbox.ts";
import type { Played } from "./play.ts";
import type { Opening } from "./schedules.ts";

/** Everything that is left of a schedule when nothing of it waits any more. */
export interface Evidence {
  readonly triggers: readonly TriggerRow[];
  readonly runs: readonly RunRow[];
  /** How each run asked, by its id. */
  readonly openings: ReadonlyMap<string, Opening>;
  readonly played: readonly Played[];
  /** The keys for which events are buffered. */
  readonly buffered: readonly string[];
  readonly messages: readonly MessageRow[];
  readonly resumesOf: (runId: string) => readonly Dispatch[];
}

const reasons: Readonly<Record<string, string>> = {
  received: "event",
  timed_out: "timeout",
  canceled: "canceled",
  superseded: "canceled",
};

/** What of section 5 of the rules does not hold: nothing, if all is well. */
export function violations(evidence: Evidence): string[] {
  const { triggers, runs, messages } = evidence;
  const waits = triggers.filter(({ type }) => type === "event");
  const keys = new Set(waits.map(({ event_key }) => event_key));
  return [
    ...triggers.flatMap((trigger) => ofTrigger(trigger, evidence)),
    ...triggers.filter(isGroup).flatMap((group) => ofGroup(group, evidence)),
    ...runs.flatMap((run) => ofRun(run, waitOf(run, triggers), evidence)),
    ...evidence.played.flatMap((one) => ofAnswer(one, waits, messages)),
    ...[...keys].flatMap((key) => ofKey(key, waits, evidence)),
    ...runs.flatMap((run) => ofInbox(run, evidence.openings.get(run.id), messages)),
  ];
}

/** What decides how its run goes on: the group, or the only wait. */
function waitOf(run: RunRow, triggers: readonly TriggerRow[]): TriggerRow | undefined {
  const own = triggers.filter(({ run_id }) => run_id === run.id);
  return own.find(isGroup) ?? own[0];
}

/** R1 R2 R4: one end, on the right side of its deadline. */
function ofTrigger({ id, type, event_key, status, is_in_time, ends }: TriggerRow, { buffered }: Evidence): string[] {
  const found: string[] = [];
  if (status === "waiting")
    return buffered.includes(event_key) ? [`${id} waits with an event beside it`] : [`${id} waits`];
  if (ends !== 1) found.push(`${id} has ended ${ends} times`);
  if (status === "timed_out" && is_in_time !== false) found.push(`${id} timed out too early`);
  // A group counts answers that came in time, however long that takes.
  if (status === "received" && is_in_time === false && type !== "group") found.push(`${id} received too late`);
  return found;
}

/** R8: as many answers as it needs end a group, no more, and with it all of its waits; it tells what became of them. */
function ofGroup({ id, status, needed, payload }: GroupRow, { triggers, played }: Evidence): string[] {
  const members = triggers.filter(({ group_id }) => group_id === id);
  const received = members.filter((member) => member.status === "received");
  const found: string[] = [];
  if (status === "received" ? received.length !== needed : received.length >= (needed ?? 0)) {
    found.push(`${id} is ${status} with ${received.length} of ${needed} answers`);
  }
  const ends = members.map((member) => ({
    event_key: member.event_key,
    trigger_id: member.id,
    status: member.status,
    payload: member.status === "received" ? member.payload : null,
    cancellation: member.cancellation,
  }));
  if (payload !== null && !isDeepStrictEqual(payload.results, ends)) {
    found.push(`${id} says ${JSON.stringify(payload.results)} of ${JSON.stringify(ends)}`);
  }
  if (payload?.winner != null && !received.some(({ event_key }) => event_key === payload.winner)) {
    found.push(`${id} names ${payload.winner} as its winner`);
  }
  const decisive = played.filter(
    (one) => one.move.act === "send" && one.answer.body.group_id === id && codeOf(one) === "delivered",
  );
  if (decisive.length > 1) found.push(`${decisive.length} were told that they had decided ${id}`);
  return found;
}

/** The waits on a key by their generations: those that share it are one. */
function ofKey(key: string, waits: readonly TriggerRow[], evidence: Evidence): string[] {
  const own = waits.filter(({ event_key }) => event_key === key);
  const last = Math.max(...own.map(({ generation }) => generation));
  return Array.from({ length: last }, (_, index) => index + 1).flatMap((number) =>
    ofGeneration(
      `generation ${number} of ${key}`,
      own.filter(({ generation }) => generation === number),
      evidence,
    ),
  );
}

/** U1 U3 R1 R4: one event answers a generation at most, and all that still waited have it. */
function ofGeneration(name: string, waits: readonly TriggerRow[], { played }: Evidence): string[] {
  const [wait] = waits;
  if (!wait) return [`there is no ${name}`];
  const found: string[] = [];
  const answered = waits.filter(({ status, kind }) => status === "received" || kind === "rejected");
  const delivered = waits.reduce((sum, { deliveries }) => sum + deliveries, 0);
  if (delivered !== Math.min(1, answered.length)) {
    found.push(`${name} has ${delivered} delivered events and ${answered.length} answered waits`);
  }
  if (new Set(answered.map(({ status, payload }) => `${status} ${payload}`)).size > 1) {
    found.push(`${name} has several answers`);
  }
  const here = played.filter(({ answer }) => answer.status === 200 && waits.some(({ id }) => id === answer.body?.id));
  const winners = here.filter(wonBy);
  const deliverers = winners.filter(isDelivery);
  if (winners.length > waits.length || deliverers.length > 1) found.push(`${name} has ${winners.length} winners`);
  const extensions = here.filter(({ move }) => move.act === "extend").length;
  const isCertain = !played.some(({ move, answer }) => move.act === "extend" && answer.tries > 1);
  const counted = waits.reduce((sum, { version }) => sum + version - 1, 0);
  if (waits.length === 1 && isCertain && counted !== extensions) {
    found.push(`${wait.id} has ${counted} extensions, not ${extensions}`);
  }
  return found;
}

const isDelivery = (one: Played): boolean => ["delivered", "recorded"].includes(codeOf(one));
const wonBy = (one: Played): boolean =>
  isDelivery(one) || (one.move.act === "cancel" && one.answer.body.status === "canceled");

/** R1 R6 X1: a run leaves each of its waits once, and its code is told once, or again in the same words after a loss. */
function ofRun(run: RunRow, wait: TriggerRow | undefined, { played, resumesOf }: Evidence): string[] {
  const found: string[] = [];
  if (run.ends !== 1) found.push(`${run.id} is ${run.status} and has ended ${run.ends} times`);
  if (run.woken !== run.parked) found.push(`${run.id} has parked ${run.parked} times and left ${run.woken} times`);
  const resumes = resumesOf(run.id);
  const told = new Set(resumes.map(({ headers }) => `${headers["x-resume-reason"]} ${headers["x-last-checkpoint"]}`));
  if (told.size > 1) found.push(`${run.id} was told ${[...told].join(" and ")}`);
  if (resumes.length > 1 + run.put_back) found.push(`${run.id} was resumed ${resumes.length} times`);
  if (!wait) return found;
  const isCanceled = ["canceled", "superseded"].includes(wait.status) && wait.kind !== "rejected" && !wait.resumes;
  const mayCancel = played.some(({ move }) => move.act === "cancelRun");
  if (run.status === "canceled" && !isCanceled && !mayCancel)
    found.push(`${run.id} is canceled: its wait is ${wait.status}`);
  if (run.status === "completed") {
    const reason = wait.kind === "rejected" ? "rejected" : reasons[wait.status];
    if (!wait.resumes) found.push(`${run.id} went on although its wait is ${wait.status}`);
    if (run.result?.reason !== reason)
      found.push(`${run.id} went on as ${run.result?.reason}: its wait is ${wait.status}`);
    if (wait.status === "received" && !isDeepStrictEqual(run.result?.told, wait.payload))
      found.push(`${run.id} was told ${JSON.stringify(run.result?.told)}`);
    if (resumes.length === 0) found.push(`${run.id} was completed without a resume`);
  } else if (run.status !== "canceled") {
    const end = wait.kind === "rejected" ? "failed" : wait.status;
    if (wait.resumes || run.status !== end) found.push(`${run.id} is ${run.status}: its wait is ${wait.status}`);
  }
  return found;
}
