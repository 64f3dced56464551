import type { Cancellation, CancellationKind } from "@strait/contract";
import type { TriggerMove } from "@strait/core";
import { WAIT_TIMED_OUT } from "../domain/reasons.ts";
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

/** Ends waits that no key finds, whose rows the caller holds. The runs go on here as far as there is room. */
export async function receiveOwn(
  { clock, worker }: Pick<Context, "clock" | "worker">,
  tx: Transaction,
  answers: readonly OwnAnswer[],
  options: { readonly evenIfDue: boolean } = { evenIfDue: true },
): Promise<settlements.SettledTrigger[]> {
  if (answers.length === 0) return [];
  const items = answers.map(({ project_id, id, payload, actor }) => ({
    project_id,
    id,
    payload,
    actor,
    channel: "api",
    event_id: null,
    idempotency_key: null,
    delivery_id: clock.newId("whd"),
    error: null,
    lease_id: worker.reserve(project_id),
    due: false,
  }));
  const started = new Set<string>();
  try {
    const settled = await settlements.settle(tx, "receive", items);
    if (options.evenIfDue && settled.length < items.length) {
      const overdue = items.map((item) => ({ ...item, due: true }));
      settled.push(...(await settlements.settle(tx, "receive", overdue)));
    }
    for (const { id, claimed } of settled) if (claimed !== null) started.add(id);
    tx.afterRollback(() => {
      for (const { id, project_id } of items) if (started.has(id)) worker.release(project_id, 1);
    });
    return settled;
  } finally {
    for (const { id, project_id, lease_id } of items) {
      if (lease_id !== null && !started.has(id)) worker.release(project_id, 1);
    }
  }
}

/** What is said about a wait whose deadline passed. */
export const timedOut = (projectId: string, triggerId: string): WaitEnd => ({
  projectId,
  triggerId,
  actor: SYSTEM,
  error: WAIT_TIMED_OUT,
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
