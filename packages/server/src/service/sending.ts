import type { BufferedEvent, Disposition, EventTrigger, SentEvent } from "@strait/contract";
import type { LatestTrigger, Send } from "../domain/decide-send.ts";
import { alreadyResolved, payloadMismatch, waitClosed } from "../domain/errors.ts";
import type { RecordedEvent } from "../store/events.ts";
import type { IdempotencyKey } from "../store/idempotency.ts";
import type { EventKey } from "../store/key-waits.ts";
import type { SettledTrigger } from "../store/settlements.ts";
import type { Context } from "./context.ts";
import { done, type Outcome, refused } from "./lane.ts";

/** An event on its way to a key. */
export interface SendEvent extends Send {
  readonly project_id: string;
  readonly environment_id: string;
  /** Seconds that the event is kept when nobody waits yet. */
  readonly ttl_secs: number;
  readonly actor: string;
  readonly channel: "api" | "emit" | "batch" | "retarget";
  readonly idempotency: IdempotencyKey | null;
}

/** The stored answer of an idempotent request is given back with `replayed`. */
export type SendAnswer = (
  | { readonly status: 200; readonly body: SentEvent }
  | { readonly status: 202; readonly body: BufferedEvent }
) & { readonly replayed?: true };

/** A send that is ready for the database. */
export interface Sending extends SendEvent {
  readonly event_id: string;
  /** As it is recorded; also of a request that stores its answer itself. */
  readonly idempotency_key: string | null;
  /** When it came in, by the clock of `performance`. */
  readonly arrived_ms: number;
  readonly payload_text: string;
}

export function prepared(
  { clock }: Context,
  send: SendEvent,
  idempotency_key = send.idempotency?.key ?? null,
): Sending {
  // Member by member, as in toRequest of trigger-job.ts.
  return {
    project_id: send.project_id,
    environment_id: send.environment_id,
    event_key: send.event_key,
    payload: send.payload,
    if_no_waiter: send.if_no_waiter,
    for_next: send.for_next,
    generation: send.generation,
    trigger_id: send.trigger_id,
    ttl_secs: send.ttl_secs,
    actor: send.actor,
    channel: send.channel,
    idempotency: send.idempotency,
    event_id: clock.newId("evt"),
    idempotency_key,
    arrived_ms: performance.now(),
    payload_text: JSON.stringify(send.payload),
  };
}

/** Tells which sends are to one key. */
export const keyOf = (key: EventKey): string => `${key.project_id}\n${key.environment_id}\n${key.event_key}`;

/**
 * A trigger as the wire has it: the members that only the server needs are undefined, so that JSON leaves them out.
 * Making an object without them would cost thirty times as much, on the path of every send.
 */
export function wire(trigger: LatestTrigger | SettledTrigger): EventTrigger;
export function wire(trigger: LatestTrigger | SettledTrigger, disposition: Disposition): SentEvent;
export function wire(trigger: LatestTrigger | SettledTrigger, disposition?: Disposition): EventTrigger {
  const copy: EventTrigger & Partial<Record<"overdue" | "claimed" | "owner_pending" | "disposition", unknown>> = {
    ...trigger,
  };
  copy.overdue = undefined;
  copy.claimed = undefined;
  copy.owner_pending = undefined;
  copy.disposition = disposition;
  return copy;
}

export function delivered(
  trigger: LatestTrigger | SettledTrigger,
  disposition: "delivered" | "recorded" = "delivered",
): SendAnswer {
  return { status: 200, body: wire(trigger, disposition) };
}

export function bufferedAnswer(send: Sending, expiresAt: string): SendAnswer {
  return {
    status: 202,
    body: {
      status: "buffered",
      disposition: "buffered",
      id: send.event_id,
      event_key: send.event_key,
      expires_at: expiresAt,
    },
  };
}

/** What a send was told, or should have been, whose event is recorded; undefined where nothing tells. */
export function recordedAnswer(
  send: Sending,
  event: RecordedEvent,
  trigger: EventTrigger | undefined,
): Outcome<SendAnswer> | undefined {
  if (event.disposition === "buffered") return done(bufferedAnswer(send, event.expires_at ?? ""));
  if (event.disposition === "rejected" && event.issues !== null) return refused(payloadMismatch(event.issues));
  if (!trigger) return undefined;
  switch (event.disposition) {
    case "delivered":
    case "recorded":
    case "duplicate":
      return done({ status: 200, body: { ...trigger, disposition: event.disposition } });
    case "conflict":
      return refused(alreadyResolved(trigger));
    case "late":
      return refused(waitClosed(trigger));
    default:
      return undefined;
  }
}
