import type { EventExplanation, EventRecord, EventTrigger, ExplainedEvent } from "@strait/contract";
import type { LatestTrigger } from "../domain/decide-send.ts";
import { notFound } from "../domain/errors.ts";
import { explainEvent as explain, explainNow, explainUnknown, explainWait } from "../domain/explain-send.ts";
import * as records from "../store/event-records.ts";
import * as keyWaits from "../store/key-waits.ts";
import * as triggers from "../store/triggers.ts";
import type { Caller, Context } from "./context.ts";
import { namespaceOf, nearestKeys } from "./near-keys.ts";
import { wire } from "./sending.ts";

export interface Question {
  readonly event_key: string;
  readonly event_id?: string | undefined;
  readonly trigger_id?: string | undefined;
}

/** How many of the latest sends are told of. */
const SENDS = 20;

/**
 * Explains a key, one wait on it, or one event that was sent to it (D1). It reads and changes nothing, not even a deadline that
 * has passed unnoticed.
 *
 * @throws {StraitError} `not_found` for an event or a trigger that is not of this key.
 */
export async function explainEvent({ db }: Context, caller: Caller, question: Question): Promise<EventExplanation> {
  const { event_key, event_id, trigger_id } = question;
  const key = { project_id: caller.projectId, environment_id: caller.environmentId, event_key };
  const latest = await keyWaits.currentOf(db, key);
  const event = event_id === undefined ? undefined : await records.find(db, key, event_id);
  if (event_id !== undefined && !event) throw notFound("event", event_id);
  const asked = trigger_id ?? event?.trigger_id ?? latest?.id;
  const trigger = await triggerOf(db, key, asked, latest);
  if (trigger_id !== undefined && !trigger) throw notFound("event trigger", trigger_id);
  const sends = event ? [event] : (await records.list(db, key, { trigger_id }, { limit: SENDS })).data;
  const known = latest ? [] : await records.keysAround(db, key, namespaceOf(event_key));
  const nearest_keys = nearestKeys(key, known);
  const explained = await withExplanations(db, key, sends, trigger);
  const kept = sends.filter(({ disposition }) => disposition === "buffered").length;
  return {
    event_key,
    environment_id: key.environment_id,
    explanation:
      (event && explained[0]?.explanation) ??
      (trigger ? explainWait(trigger) : explainUnknown(kept, nearest_keys, key.environment_id)),
    trigger: trigger ?? null,
    now: explainNow(latest),
    sends: explained,
    nearest_keys,
  };
}

type Reader = Context["db"];

async function triggerOf(
  db: Reader,
  key: keyWaits.EventKey,
  id: string | undefined,
  latest: LatestTrigger | undefined,
): Promise<EventTrigger | undefined> {
  if (id === undefined) return undefined;
  if (id === latest?.id) return wire(latest);
  const found = (await triggers.findNumbered(db, key.project_id, id))?.row;
  return found?.event_key === key.event_key && found.environment_id === key.environment_id ? found : undefined;
}

/** The waits that the events met are read at once: they may be of several generations. */
async function withExplanations(
  db: Reader,
  { project_id }: keyWaits.EventKey,
  sends: readonly EventRecord[],
  trigger: EventTrigger | undefined,
): Promise<ExplainedEvent[]> {
  const ids = new Set(sends.flatMap(({ trigger_id }) => (trigger_id === null ? [] : [trigger_id])));
  if (trigger) ids.delete(trigger.id);
  const others = ids.size === 0 ? [] : await triggers.statesOf(db, project_id, [...ids]);
  const met = new Map<string, EventTrigger>(others.map((other) => [other.id, other]));
  if (trigger) met.set(trigger.id, trigger);
  return sends.map((event) => ({ ...event, explanation: explain(event, met.get(event.trigger_id ?? "")) }));
}
