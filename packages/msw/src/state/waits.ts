import type {
  BufferedPick,
  Cancellation,
  CancelPolicy,
  DeadLetterReason,
  EventTrigger,
  OnConflict,
  TimeoutPolicy,
} from "@strait/contract";
import { allows, type TriggerMove, triggerMoves } from "@strait/core";
import { placeBeside, type Standing, WAIT_TIMED_OUT, waitSuperseded } from "@strait/server/pure";
import { timestampOf } from "./clock.ts";
import { newTrigger } from "./new-trigger.ts";
import { type Store, type StoredEvent, SYSTEM } from "./store.ts";
import { hears, misfits } from "./terms.ts";

/** A wait on a key, of a run or of a step. */
export interface Wait {
  readonly event_key: string;
  readonly owner:
    | { readonly job_run_id: string }
    | { readonly workflow_run_id: string; readonly workflow_step_run_id: string };
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
  readonly grace_secs: number;
  readonly notify_url: string | null;
  readonly on_timeout: TimeoutPolicy | null;
  readonly timeout_payload: EventTrigger["timeout_payload"];
  readonly on_cancel: CancelPolicy | null;
  readonly request_payload: EventTrigger["request_payload"];
  readonly payload_schema: EventTrigger["payload_schema"];
  readonly filter: string | null;
  readonly tags: Record<string, string>;
  readonly on_conflict: OnConflict;
  readonly broadcast: boolean;
  /** Only events buffered since then may answer it; null takes any, "none" none. */
  readonly buffered_since: string | null | "none";
  readonly pick: BufferedPick;
  readonly actor: string;
}

/** How a key stands. What is overdue has been settled before, at the beginning of the call. */
export function standingOf({ triggers, keys, waits }: Store, key: string, namedId: string | null = null): Standing {
  const current = (trigger: EventTrigger) => ({ ...trigger, overdue: false });
  const all = (waits.get(key) ?? []).flatMap((id) => triggers.get(id) ?? []).map(current);
  const { latest, generation } = keys.get(key) ?? {};
  return {
    waiting: all.filter(({ status }) => status === "waiting"),
    latest: all.find(({ id }) => id === latest),
    named: all.filter((trigger) => trigger.id === namedId && trigger.generation === generation),
  };
}

/**
 * Opens a wait as the next generation of its key; one that joins others is of theirs. The first buffered event that fits
 * answers it at once (B2).
 *
 * @throws {StraitError} `key_in_use`.
 */
export function openWait(store: Store, wait: Wait): EventTrigger {
  const { clock, triggers, keys, waits, events } = store;
  const { event_key } = wait;
  const { waiting } = standingOf(store, event_key);
  const id = clock.newId("trg");
  const place = placeBeside(waiting, wait);
  if (place === "instead") for (const other of waiting) supersede(store, other, wait, id);
  const generation = (keys.get(event_key)?.generation ?? 0) + (place === "beside" ? 0 : 1);
  const buffered = place === "beside" ? undefined : takeBuffered(store, wait, id, generation);
  keys.set(event_key, { generation, latest: id });
  waits.set(event_key, [...(waits.get(event_key) ?? []), id]);
  const opened = newTrigger(store, {
    id,
    event_key,
    trigger_type: "event",
    generation,
    broadcast: wait.broadcast,
    ...wait.owner,
    request_payload: wait.request_payload,
    timeout_secs: wait.timeout_secs,
    deadline: wait.deadline,
    grace_secs: wait.grace_secs,
    notify_url: wait.notify_url,
    notify_status: wait.notify_url === null ? null : "pending",
    payload_schema: wait.payload_schema,
    filter: wait.filter,
    on_timeout: wait.on_timeout,
    timeout_payload: wait.timeout_payload,
    on_cancel: wait.on_cancel,
    tags: wait.tags,
  });
  if (buffered === undefined) return triggers.put(opened);
  events.change(buffered, { disposition: "delivered", trigger_id: id, generation, expires_at: null });
  const at = opened.requested_at;
  const answer = { response_payload: buffered.payload, sent_by: buffered.actor, received_at: at, finished_at: at };
  return triggers.put({ ...opened, ...answer, status: triggerMoves.receive.to });
}

function supersede(store: Store, trigger: EventTrigger, { owner, actor }: Wait, by: string): void {
  const error = waitSuperseded(by, owner);
  settle(store, trigger, "supersede", { actor, error, cancellation: cancellationOf("superseded", actor, error) });
}

/** The oldest or newest buffered event that the wait takes. Those before it that break its schema become dead letters (B8). */
function takeBuffered(store: Store, wait: Wait, id: string, generation: number): StoredEvent | undefined {
  const { buffered_since: since, event_key } = wait;
  if (since === "none") return undefined;
  const buffered = store.events
    .all()
    .filter((event) => event.event_key === event_key && event.disposition === "buffered")
    .filter((event) => since === null || event.created_at >= since);
  if (wait.pick === "newest") buffered.reverse();
  for (const event of buffered) {
    if (!hears(wait, event)) continue;
    const issues = misfits({ ...wait, max_payload_bytes: null }, event);
    if (issues.length === 0) return event;
    const refused = { trigger_id: id, generation, issues, expires_at: null };
    bury(store, store.events.change(event, { ...refused, disposition: "rejected" }), "payload_mismatch");
  }
  return undefined;
}

/** Puts an event that nobody got on the list of dead letters. */
function bury({ clock, deadLetters }: Store, event: StoredEvent, reason: DeadLetterReason): void {
  deadLetters.put({
    id: event.id,
    project_id: event.project_id,
    environment_id: event.environment_id,
    event_key: event.event_key,
    trigger_id: event.trigger_id,
    generation: event.generation,
    reason,
    status: "open",
    payload: event.payload,
    issues: event.issues ?? [],
    channel: event.channel,
    sent_by: event.actor,
    sent_at: event.created_at,
    dead_lettered_at: clock.timestamp(),
    handled_at: null,
    handled_by: null,
    retargeted_event_id: null,
  });
}

/** How a wait ends. */
export interface End {
  readonly actor: string;
  /** The answer. */
  readonly payload?: EventTrigger["response_payload"];
  /** Whether somebody has sent something, rather than called off or waited too long. */
  readonly isSent?: boolean;
  readonly error?: string;
  readonly cancellation?: Cancellation;
}

export function cancellationOf(
  kind: Cancellation["kind"],
  actor: string,
  reason: string | null,
  details: Cancellation["details"] = null,
): Cancellation {
  return { kind, reason, actor, details };
}

/** Ends a wait; its run or step is told by `wakeOwners` (R1). A wait that has ended stays as it is. */
export function settle(store: Store, given: EventTrigger, move: TriggerMove, end: End): EventTrigger {
  const { clock, triggers } = store;
  const current = triggers.get(given.id) ?? given;
  if (!allows(triggerMoves[move], current.status)) return current;
  const now = clock.timestamp();
  const answer = move === "receive" ? (end.payload ?? null) : move === "timeOut" ? current.timeout_payload : null;
  const trigger = triggers.change(current, {
    status: triggerMoves[move].to,
    finished_at: now,
    received_at: move === "receive" ? now : null,
    response_payload: answer,
    cancellation: end.cancellation ?? null,
    sent_by: end.isSent ? end.actor : null,
    error: end.error ?? null,
  });
  store.ended.push({ trigger });
  return trigger;
}

/** Ends, as canceled, what somebody who has ended himself still waits for (R6). */
export function cancelWaits(
  store: Store,
  isHis: (trigger: EventTrigger) => boolean,
  actor: string,
  error: string,
): void {
  const waiting = store.triggers.all().filter((trigger) => trigger.status === "waiting" && isHis(trigger));
  for (const trigger of waiting) {
    settle(store, trigger, "cancel", { actor, error, cancellation: cancellationOf("canceled", actor, error) });
  }
}

/** When a wait ends that nobody answers: its deadline and its grace. */
export function closesAt({ expires_at, grace_secs }: EventTrigger): string | null {
  if (expires_at === null || grace_secs === 0) return expires_at;
  return timestampOf(Date.parse(expires_at) + grace_secs * 1_000);
}

/** Ends what is overdue: waits, sleeps and the lives of buffered events. Whoever looks next does it (R2). */
export function settleDue(store: Store): void {
  const now = store.clock.timestamp();
  const isDue = (time: string | null) => time !== null && time <= now;
  for (const trigger of store.triggers.all()) {
    if (trigger.status !== "waiting" || !isDue(closesAt(trigger))) continue;
    if (trigger.trigger_type !== "sleep") {
      settle(store, trigger, "timeOut", { actor: SYSTEM, error: WAIT_TIMED_OUT });
    } else {
      const slept = Math.round((Date.parse(now) - Date.parse(trigger.requested_at)) / 1_000);
      settle(store, trigger, "receive", { actor: SYSTEM, payload: { slept_for_secs: slept, completed_at: now } });
    }
  }
  for (const event of store.events.all()) {
    if (event.disposition !== "buffered" || !isDue(event.expires_at)) continue;
    bury(store, store.events.change(event, { disposition: "expired", expires_at: null }), "expired");
  }
}
