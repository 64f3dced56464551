import type { EventTrigger } from "@strait/contract";
import { jsonEquals } from "@strait/core";
import { alreadyResolved, notFound, type StraitError, staleGeneration, waitClosed, waitDeleted } from "./errors.ts";

/** Which wait a caller means: the current one of the key, if it names neither generation nor trigger. */
export interface MeantWait {
  readonly event_key: string;
  readonly generation: number | null;
  readonly trigger_id: string | null;
}

/** What a send says, as far as the answer depends on it. */
export interface Send extends MeantWait {
  readonly payload: unknown;
  readonly if_no_waiter: "buffer" | "fail";
  readonly for_next: boolean;
}

/** The latest trigger of the key, whose row is locked. */
export interface LatestTrigger extends EventTrigger {
  /** Still waiting although its deadline has passed: whoever notices ends it. */
  readonly overdue: boolean;
}

/** The latest trigger of a key when it is gone: the row of the key outlives it (W4). */
export type DeletedTrigger = Pick<EventTrigger, "id" | "generation">;

export type SendDecision =
  | { readonly kind: "deliver" }
  | { readonly kind: "buffer" }
  | { readonly kind: "duplicate" }
  /** Refused, and recorded under the disposition where there is one. */
  | { readonly kind: "refuse"; readonly error: StraitError; readonly record: "conflict" | "late" | "rejected" | null };

/**
 * Decides what becomes of an event, given the latest trigger of its key (the table of `Answers to a send`).
 *
 * @param latest - Undefined when nobody ever waited on the key. An overdue one counts as timed out: the deadline decides,
 *   not the sweeper.
 * @param deleted - Where `latest` is undefined because it was deleted.
 */
export function decideSend(latest: LatestTrigger | undefined, send: Send, deleted?: DeletedTrigger): SendDecision {
  const stale = mismatch(latest ?? deleted, send);
  if (stale) return { kind: "refuse", error: stale, record: null };
  if (latest === undefined) {
    if (deleted && isNamed(send) && !send.for_next) {
      return { kind: "refuse", error: waitDeleted(send.event_key, deleted), record: null };
    }
    if (send.if_no_waiter === "buffer" || send.for_next) return { kind: "buffer" };
    return { kind: "refuse", error: notFound("event trigger", send.event_key), record: null };
  }
  if (latest.status === "waiting" && !latest.overdue) return { kind: "deliver" };
  if (send.for_next) return { kind: "buffer" };
  if (latest.status === "received") {
    if (jsonEquals(latest.response_payload, send.payload)) return { kind: "duplicate" };
    return { kind: "refuse", error: alreadyResolved(latest), record: "conflict" };
  }
  const status = latest.status === "waiting" ? "timed_out" : latest.status;
  return { kind: "refuse", error: waitClosed({ ...latest, status }), record: "late" };
}

/** An answer that says that there is none. */
export interface Rejection extends MeantWait {
  readonly reason: string;
  readonly details: unknown;
}

/**
 * Decides what becomes of a rejection, as `decideSend` does for an event. It is not kept for a wait to come: nobody has
 * asked yet, so there is nothing to refuse.
 */
export function decideReject(
  latest: LatestTrigger | undefined,
  rejection: Rejection,
  deleted?: DeletedTrigger,
): Exclude<SendDecision, { readonly kind: "buffer" }> {
  const stale = mismatch(latest ?? deleted, rejection);
  if (stale) return { kind: "refuse", error: stale, record: null };
  if (latest === undefined) {
    const { event_key } = rejection;
    const isGone = deleted !== undefined && isNamed(rejection);
    const error = isGone ? waitDeleted(event_key, deleted) : notFound("event trigger", event_key);
    return { kind: "refuse", error, record: null };
  }
  if (latest.status === "waiting" && !latest.overdue) return { kind: "deliver" };
  if (latest.status === "received") return { kind: "refuse", error: alreadyResolved(latest), record: "conflict" };
  const { cancellation } = latest;
  const isRepeat =
    cancellation?.kind === "rejected" &&
    cancellation.reason === rejection.reason &&
    jsonEquals(cancellation.details, rejection.details);
  if (isRepeat) return { kind: "duplicate" };
  const status = latest.status === "waiting" ? "timed_out" : latest.status;
  return { kind: "refuse", error: waitClosed({ ...latest, status }, "rejected"), record: "late" };
}

/** Whether the caller says which wait is meant. */
export const isNamed = ({ generation, trigger_id }: Pick<MeantWait, "generation" | "trigger_id">): boolean =>
  generation !== null || trigger_id !== null;

/** Refuses what names another wait than the latest of its key. */
export function mismatch(latest: DeletedTrigger | undefined, send: MeantWait): StraitError | undefined {
  const current = latest?.generation ?? 0;
  const { event_key, generation, trigger_id } = send;
  if (generation !== null && generation !== current) return staleGeneration(event_key, generation, current);
  const isOther = trigger_id !== null && trigger_id !== latest?.id;
  return isOther ? staleGeneration(event_key, trigger_id, current) : undefined;
}
