import type { Dispatch } from "../server.ts";
import type { Played } from "./play.ts";

/** A wait as its row tells. */
export interface TriggerRow {
  readonly id: string;
  readonly run_id: string;
  readonly generation: number;
  readonly status: string;
  readonly kind: string | null;
  readonly payload: unknown;
  /** Whether it ended before its deadline, or as it opened; null when it has no deadline. */
  readonly is_in_time: boolean | null;
  readonly version: number;
  readonly resumes: boolean;
  /** How often its status became a final one, by its changes. */
  readonly ends: number;
  /** Events that say that they were delivered to it. */
  readonly deliveries: number;
}

export interface RunRow {
  readonly id: string;
  readonly status: string;
  readonly result: { readonly reason: string; readonly told: unknown } | null;
  readonly dispatch_seq: number;
  /** How often it entered and left `waiting`, and was put back from `executing`, by its changes. */
  readonly parked: number;
  readonly woken: number;
  readonly put_back: number;
  readonly ends: number;
}

/** Everything that is left of a schedule when nothing of it waits any more. */
export interface Evidence {
  readonly triggers: readonly TriggerRow[];
  readonly runs: readonly RunRow[];
  readonly played: readonly Played[];
  readonly buffered: number;
  readonly resumesOf: (runId: string) => readonly Dispatch[];
}

const reasons: Readonly<Record<string, string>> = {
  received: "event",
  timed_out: "timeout",
  canceled: "canceled",
  superseded: "canceled",
};
const codeOf = ({ answer }: Played): string =>
  answer.body?.disposition ?? answer.body?.error?.code ?? String(answer.status);

/** What of section 5 of the rules does not hold: nothing, if all is well. */
export function violations(evidence: Evidence): string[] {
  const { triggers, runs } = evidence;
  return [
    ...triggers.flatMap((trigger) => ofTrigger(trigger, evidence)),
    ...runs.flatMap((run) =>
      ofRun(
        run,
        triggers.filter(({ run_id }) => run_id === run.id),
        evidence,
      ),
    ),
    ...evidence.played.flatMap((one) => ofAnswer(one, triggers)),
    ...generationsOf(triggers).flatMap((waits, index) => ofGeneration(waits, index + 1, evidence)),
  ];
}

/** R1 R2 R4: one end, by one event at most, on the right side of its deadline. */
function ofTrigger(trigger: TriggerRow, { buffered }: Evidence): string[] {
  const { id, status, is_in_time, ends } = trigger;
  const found: string[] = [];
  if (status === "waiting") return buffered > 0 ? [`${id} waits with an event beside it`] : [`${id} waits`];
  if (ends !== 1) found.push(`${id} has ended ${ends} times`);
  if (status === "timed_out" && is_in_time !== false) found.push(`${id} timed out too early`);
  if (status === "received" && is_in_time === false) found.push(`${id} received too late`);
  return found;
}

/** The waits on a key by their generations: those that share it are one. */
function generationsOf(triggers: readonly TriggerRow[]): TriggerRow[][] {
  const last = Math.max(0, ...triggers.map(({ generation }) => generation));
  return Array.from({ length: last }, (_, index) => triggers.filter(({ generation }) => generation === index + 1));
}

/** U1 R1 R4: one event answers a generation at most, and all that still waited have it. */
function ofGeneration(waits: readonly TriggerRow[], number: number, { played }: Evidence): string[] {
  const [wait] = waits;
  if (!wait) return [`there is no generation ${number}`];
  const found: string[] = [];
  const answered = waits.filter(({ status, kind }) => status === "received" || kind === "rejected");
  const delivered = waits.reduce((sum, { deliveries }) => sum + deliveries, 0);
  if (delivered !== Math.min(1, answered.length)) {
    found.push(`generation ${number} has ${delivered} delivered events and ${answered.length} answered waits`);
  }
  if (new Set(answered.map(({ status, payload }) => `${status} ${payload}`)).size > 1) {
    found.push(`generation ${number} has several answers`);
  }
  const here = played.filter(({ answer }) => answer.status === 200 && waits.some(({ id }) => id === answer.body?.id));
  const winners = here.filter(wonBy);
  const deliverers = winners.filter((one) => codeOf(one) === "delivered");
  if (winners.length > waits.length || deliverers.length > 1)
    found.push(`generation ${number} has ${winners.length} winners`);
  const extensions = here.filter(({ move }) => move.act === "extend").length;
  const isCertain = !played.some(({ move, answer }) => move.act === "extend" && answer.isRetried);
  const counted = waits.reduce((sum, { version }) => sum + version - 1, 0);
  if (waits.length === 1 && isCertain && counted !== extensions) {
    found.push(`${wait.id} has ${counted} extensions, not ${extensions}`);
  }
  return found;
}

const wonBy = (one: Played): boolean =>
  codeOf(one) === "delivered" || (one.move.act === "cancel" && one.answer.body.status === "canceled");

/** R1 R6 X1: a run leaves each of its waits once, and its code is told once, or again in the same words after a loss. */
function ofRun(run: RunRow, waits: readonly TriggerRow[], { played, resumesOf }: Evidence): string[] {
  const found: string[] = [];
  if (run.ends !== 1) found.push(`${run.id} is ${run.status} and has ended ${run.ends} times`);
  if (run.woken !== run.parked) found.push(`${run.id} has parked ${run.parked} times and left ${run.woken} times`);
  const resumes = resumesOf(run.id);
  const told = new Set(resumes.map(({ headers }) => `${headers["x-resume-reason"]} ${headers["x-last-checkpoint"]}`));
  if (told.size > 1) found.push(`${run.id} was told ${[...told].join(" and ")}`);
  if (resumes.length > 1 + run.put_back) found.push(`${run.id} was resumed ${resumes.length} times`);
  const [wait] = waits;
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
    if (wait.status === "received" && run.result?.told !== wait.payload)
      found.push(`${run.id} was told ${run.result?.told}`);
    if (resumes.length === 0) found.push(`${run.id} was completed without a resume`);
  } else if (run.status !== "canceled") {
    const end = wait.kind === "rejected" ? "failed" : wait.status;
    if (wait.resumes || run.status !== end) found.push(`${run.id} is ${run.status}: its wait is ${wait.status}`);
  }
  return found;
}

/** What a client was told is what the rows say. */
function ofAnswer(one: Played, triggers: readonly TriggerRow[]): string[] {
  const { move, payload, answer } = one;
  const said = `${move.act} was answered ${answer.status} ${codeOf(one)}`;
  const took = triggers.filter((trigger) => trigger.payload === payload);
  if (move.act === "send") {
    const isTaken =
      took.length > 0 &&
      took.every(({ status, generation }) => status === "received" && generation === took[0]?.generation);
    if (["delivered", "duplicate"].includes(codeOf(one))) return isTaken ? [] : [`${said}, and nobody has it`];
    if (codeOf(one) === "buffered" || (answer.isRetried && !move.isKeyed))
      return new Set(took.map(({ generation }) => generation)).size > 1 ? [`${said}, and two have it`] : [];
    const isRefused = ["already_resolved", "wait_closed"].includes(codeOf(one));
    if (!isRefused) return [said];
    return took.length === 0 ? [] : [`${said}, and ${took[0]?.id} has it`];
  }
  const allowed = {
    cancel: ["200", "wait_closed", "not_found"],
    reject: ["delivered", "duplicate", "wait_closed", "already_resolved", "not_found"],
    // Of several waits on the key it does not know which one is meant.
    extend: ["200", "wait_closed", "not_found", "validation_error", "conflict"],
    cancelRun: ["200", "illegal_move"],
  }[move.act];
  if (!allowed.includes(codeOf(one))) return [said];
  const met = triggers.find(({ id }) => id === answer.body?.id);
  if (move.act === "cancel" && answer.status === 200 && met?.status !== "canceled")
    return [`${said}, and it is ${met?.status}`];
  if (codeOf(one) === "delivered" && met?.kind !== "rejected") return [`${said}, and it is ${met?.status}`];
  return [];
}
