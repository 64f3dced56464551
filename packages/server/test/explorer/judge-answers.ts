import type { MessageRow, TriggerRow } from "./evidence.ts";
import type { Played } from "./play.ts";

/** What a client was told: the disposition, the code of the error, or else the status. */
export const codeOf = ({ answer }: Played): string =>
  answer.body?.disposition ?? answer.body?.error?.code ?? String(answer.status);

const isTaken = (code: string): boolean => ["delivered", "recorded", "duplicate"].includes(code);
const isRefused = (code: string): boolean => ["already_resolved", "wait_closed"].includes(code);

/** What a client was told is what the rows say. */
export function ofAnswer(one: Played, waits: readonly TriggerRow[], messages: readonly MessageRow[]): string[] {
  const said = `${one.move.act} was answered ${one.answer.status} ${codeOf(one)}`;
  switch (one.move.act) {
    case "send":
      return ofSend(one, waits, said);
    case "sendPrefix":
      return ofPrefixSend(one, waits, said);
    case "message":
      return ofMessage(one, messages, said);
    default:
      return ofOther(one, one.move.act, waits, said);
  }
}

/** The waits that an event has answered. */
const tookOf = ({ payload }: Played, waits: readonly TriggerRow[]): TriggerRow[] =>
  waits.filter((wait) => wait.payload === payload);

/** Whether an earlier try may have had its effect, which this answer does not show. */
const isUncertain = ({ move, answer }: Played): boolean => answer.tries > 1 && !move.isKeyed;

function ofSend(one: Played, waits: readonly TriggerRow[], said: string): string[] {
  const took = tookOf(one, waits);
  const code = codeOf(one);
  const generations = new Set(took.map(({ generation }) => generation)).size;
  // Each try without a key is another event, which the next generation may have taken.
  if (generations > (isUncertain(one) ? one.answer.tries : 1))
    return [`${said}, and ${generations} generations have it`];
  if (isTaken(code)) {
    const isTheirs = took.length > 0 && took.every(({ status }) => status === "received");
    return isTheirs ? [] : [`${said}, and nobody has it`];
  }
  if (code === "buffered" || isUncertain(one)) return [];
  if (!isRefused(code)) return [said];
  return took.length === 0 ? [] : [`${said}, and ${took[0]?.id} has it`];
}

/** P2 P3: it says of each wait what became of it, and under `atomic` it is all or nothing. */
function ofPrefixSend(one: Played, waits: readonly TriggerRow[], said: string): string[] {
  const took = tookOf(one, waits);
  const { answer, move } = one;
  if (answer.status !== 200) {
    const isAllowed = isRefused(codeOf(one)) || ["stale_generation", "expectation_failed"].includes(codeOf(one));
    if (move.mode !== "atomic" || !isAllowed) return [said];
    return took.length === 0 || isUncertain(one) ? [] : [`${said}, and ${took[0]?.id} has it`];
  }
  const listed: readonly { id: string; event_key: string }[] = answer.body.triggers;
  const found = listed
    .filter(({ id }) => !took.some((wait) => wait.id === id && wait.status === "received"))
    .map(({ id }) => `${said} for ${id}, which does not have it`);
  if (isUncertain(one)) return found;
  const keys = new Set(listed.map(({ event_key }) => event_key));
  const unlisted = took.filter(({ event_key }) => !keys.has(event_key));
  return [...found, ...unlisted.map(({ id }) => `${said} without ${id}, which has it`)];
}

/** S6: a message is stored once, and late only if the client was told so. */
function ofMessage(one: Played, messages: readonly MessageRow[], said: string): string[] {
  const stored = messages.filter(({ payload }) => payload === one.payload);
  if (!["delivered", "buffered", "run_closed"].includes(codeOf(one))) return [said];
  if (stored.length === 0) return [`${said}, and is not stored`];
  if (stored.length > 1 && !isUncertain(one)) return [`${said}, and is stored ${stored.length} times`];
  const last = stored.at(-1);
  if ((codeOf(one) === "run_closed") !== (last?.disposition === "late"))
    return [`${said}, and it is ${last?.disposition}`];
  return codeOf(one) === "delivered" && !last?.is_read ? [`${said}, and nobody has it`] : [];
}

function ofOther(
  one: Played,
  act: "cancel" | "reject" | "extend" | "cancelRun",
  waits: readonly TriggerRow[],
  said: string,
): string[] {
  const { answer } = one;
  const allowed = {
    cancel: ["200", "wait_closed", "not_found"],
    reject: ["delivered", "duplicate", "wait_closed", "already_resolved", "not_found"],
    // Of several waits on the key it does not know which one is meant, and of a group's none has a deadline of its own.
    extend: ["200", "wait_closed", "not_found", "conflict"],
    cancelRun: ["200", "illegal_move"],
  }[act];
  if (!allowed.includes(codeOf(one))) return [said];
  const met = waits.find(({ id }) => id === answer.body?.id);
  if (act === "cancel" && answer.status === 200 && met?.status !== "canceled")
    return [`${said}, and it is ${met?.status}`];
  if (codeOf(one) === "delivered" && met?.kind !== "rejected") return [`${said}, and it is ${met?.status}`];
  return [];
}
