import type { Cancellation, CancellationKind } from "@strait/contract";
import type { TriggerMove } from "@strait/core";
import type { Topic } from "../store/channel.ts";
import { crashPoint } from "../store/crash-points.ts";
import type { Transaction } from "../store/database.ts";
import * as settlements from "../store/settlements.ts";
import type { Queryable } from "../store/sql.ts";
import { type Context, SYSTEM } from "./context.ts";

export interface WaitEnd {
  readonly projectId: string;
  readonly triggerId: string;
  readonly actor: string;
  /** Why, for whoever waited; null when an event was received. */
  readonly error: string | null;
  /** JSON text of the output, for a sleep that is over. */
  readonly payload?: string;
  /** Why a wait is canceled, in the words of whoever does it; the error, unless it is given. */
  readonly reason?: string | null;
  /** What else the code that waits should know of a cancellation. */
  readonly details?: unknown;
}

const kinds: Partial<Record<TriggerMove, CancellationKind>> = {
  cancel: "canceled",
  reject: "rejected",
  supersede: "superseded",
};

/** JSON text of what a canceled wait leaves for the run that waited; null for a move that cancels nothing. */
function cancellationOf(move: TriggerMove, { reason, error, actor, details = null }: WaitEnd): string | null {
  const kind = kinds[move];
  if (kind === undefined) return null;
  const cancellation: Cancellation = { kind, reason: reason === undefined ? error : reason, actor, details };
  return JSON.stringify(cancellation);
}

/**
 * Ends waits without an event: a timeout, a cancellation, a sleep that is over. Together with `sendEvent` this is every
 * way in which a wait can end, and both end in the same statement, so they cannot disagree.
 *
 * @param due - Whether the waits' deadlines must have passed. With `false` an overdue wait is left alone: it times out.
 */
export function settleWaits(
  { clock }: Pick<Context, "clock">,
  tx: Queryable,
  move: TriggerMove,
  due: boolean,
  ends: readonly WaitEnd[],
): Promise<settlements.SettledTrigger[]> {
  return settlements.settle(
    tx,
    move,
    ends.map((end) => ({
      project_id: end.projectId,
      id: end.triggerId,
      payload: end.payload ?? cancellationOf(move, end),
      payload_digest: null,
      actor: end.actor,
      channel: null,
      event_id: null,
      idempotency_key: null,
      delivery_id: clock.newId("whd"),
      error: end.error,
      due,
      lease_id: null,
    })),
  );
}

/** An answer of our own making to a wait that no key finds. */
export interface OwnAnswer {
  readonly project_id: string;
  readonly id: string;
  /** JSON text. */
  readonly payload: string;
  readonly actor: string;
}

/** Ends a wait that no key finds, whose row the caller holds. The run goes on here if there is room. */
export async function receiveOne(
  { clock, worker }: Pick<Context, "clock" | "worker">,
  tx: Transaction,
  { project_id, id, payload, actor }: OwnAnswer,
  options: { readonly evenIfDue: boolean } = { evenIfDue: true },
): Promise<settlements.SettledTrigger[]> {
  const lease = worker.reserve(project_id);
  let claimed = 0;
  try {
    const item = {
      project_id,
      id,
      payload,
      payload_digest: null,
      actor,
      channel: "api",
      event_id: null,
      idempotency_key: null,
      delivery_id: clock.newId("whd"),
      error: null,
      lease_id: lease,
    };
    let settled = await settlements.settle(tx, "receive", [{ ...item, due: false }]);
    if (settled.length === 0 && options.evenIfDue)
      settled = await settlements.settle(tx, "receive", [{ ...item, due: true }]);
    claimed = settled.filter((trigger) => trigger.claimed !== null).length;
    tx.afterRollback(() => worker.release(project_id, claimed));
    return settled;
  } finally {
    if (lease !== null) worker.release(project_id, 1 - claimed);
  }
}

/** What is said about a wait whose deadline passed. */
export const timedOut = (projectId: string, triggerId: string): WaitEnd => ({
  projectId,
  triggerId,
  actor: SYSTEM,
  error: "event trigger timed out",
});

/** Tells, after the commit, everybody whom ended waits concern. */
export function announceSettled(
  { signals, worker, metrics }: Pick<Context, "signals" | "worker" | "metrics">,
  settled: readonly settlements.SettledTrigger[],
): void {
  if (settled.length === 0) return;
  metrics.settled(settled);
  crashPoint("before-announce");
  const topics = new Set<Topic>();
  for (const trigger of settled) {
    topics.add(`trigger:${trigger.id}`);
    if (trigger.job_run_id !== null) topics.add(`run:${trigger.job_run_id}`);
    if (trigger.workflow_run_id !== null) topics.add(`workflow_run:${trigger.workflow_run_id}`);
    if (trigger.owner_pending || trigger.workflow_run_id !== null) topics.add("wakes");
    else if (trigger.claimed === null) topics.add("queue");
    if (trigger.notify_url !== null) topics.add("deliveries");
  }
  worker.start(settled.flatMap((trigger) => (trigger.claimed === null ? [] : [trigger.claimed])));
  signals.publish([...topics]);
  crashPoint("after-announce");
}
