import type { EventTrigger, PrefixDryRun, SentPrefix } from "@strait/contract";
import {
  foreignPage,
  isExpected,
  otherSet,
  type PrefixSendInput,
  StraitError,
  tooManyForOne,
} from "@strait/server/pure";
import { refusalOf, type SendEvent, sendEvent } from "./sends.ts";
import type { Store } from "./store.ts";
import { digestOf } from "./wire.ts";

/** An event on its way to every wait under a prefix. */
export interface PrefixSend extends PrefixSendInput {
  readonly actor: string;
  readonly idempotency_key: string | null;
}

/** Answers every wait under a prefix with one payload, a page at a time. */
export async function sendPrefix(store: Store, send: PrefixSend): Promise<SentPrefix | PrefixDryRun> {
  const { prefix, limit, cursor } = send;
  const { after, until } = positionOf(prefix, cursor) ?? { after: "", until: store.clock.newId("trg") };
  const set = waitingUnder(store, prefix).filter(({ id }) => id > after && id <= until);
  const page = set.slice(0, limit);
  const has_more = set.length > limit;
  const next_cursor = has_more ? cursorOf(prefix, { after: page.at(-1)?.id ?? "", until }) : null;
  const summary = { count: set.length, digest: await digestOf(set.map(({ id }) => id)) };
  if (!isExpected(send.expect, summary)) throw otherSet(summary);
  if (send.dry_run) {
    return { dry_run: true, ...summary, keys: page.map(({ event_key }) => event_key), has_more, next_cursor };
  }
  const sends = page.map((trigger) => ({ trigger, event: eventFor(store, send, trigger) }));
  if (send.mode === "atomic") {
    if (has_more) throw tooManyForOne(page.length);
    const refusal = sends.map(({ event }) => refusalOf(store, event)).find((error) => error !== undefined);
    if (refusal) throw refusal;
  }
  const answer: SentPrefix = { dry_run: false, resolved: 0, triggers: [], skipped: [], has_more, next_cursor };
  for (const { trigger, event } of sends) deliver(store, trigger, event, answer);
  answer.resolved = answer.triggers.filter(({ disposition }) => disposition !== "duplicate").length;
  return answer;
}

/** What waits, in the order in which it opened; of those that share a key the first stands for all. */
function waitingUnder({ triggers }: Store, prefix: string): EventTrigger[] {
  const waiting = triggers
    .all()
    .filter(
      ({ status, trigger_type, event_key }) =>
        status === "waiting" && trigger_type === "event" && event_key.startsWith(prefix),
    );
  return waiting.filter(
    ({ event_key }, index) => waiting.findIndex((other) => other.event_key === event_key) === index,
  );
}

/** What one wait gets: it is meant by its id, or all that share its key by their generation. */
function eventFor({ triggers }: Store, send: PrefixSend, { id, event_key, generation }: EventTrigger): SendEvent {
  const { payload, actor, idempotency_key } = send;
  const sharing = triggers.all().filter((other) => other.event_key === event_key && other.status === "waiting");
  const meant = sharing.length > 1 ? { generation, trigger_id: null } : { generation: null, trigger_id: id };
  const given = { event_key, payload, actor, idempotency_key, channel: "batch" } as const;
  return { ...given, ...meant, if_no_waiter: "fail", for_next: false, ttl_secs: 0 };
}

function deliver(store: Store, { id, event_key }: EventTrigger, event: SendEvent, answer: SentPrefix): void {
  try {
    const sent = sendEvent(store, event);
    if (sent.status === 200) answer.triggers.push(sent.body);
  } catch (error) {
    if (!(error instanceof StraitError)) throw error;
    answer.skipped.push({ event_key, trigger_id: id, code: error.code, message: error.message });
  }
}

/** The last wait of a page, and an id that only what opened after the first page is behind. */
interface Position {
  readonly after: string;
  readonly until: string;
}

const cursorOf = (prefix: string, position: Position): string =>
  btoa(encodeURIComponent(JSON.stringify({ ...position, prefix })));

/** @throws {StraitError} `validation_error` for a cursor that is not one of this prefix. */
function positionOf(prefix: string, cursor: string | undefined): Position | undefined {
  if (cursor === undefined) return undefined;
  try {
    const position = JSON.parse(decodeURIComponent(atob(cursor)));
    if (position.prefix === prefix) return position;
  } catch {
    // No cursor at all.
  }
  throw foreignPage("/cursor");
}
