import type { BufferedPick, CancelPolicy, EventTrigger, OnConflict, TimeoutPolicy } from "@strait/contract";
import { NOBODY } from "../domain/meet.ts";
import { placeBeside } from "../domain/place-wait.ts";
import { waitSuperseded } from "../domain/reasons.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import * as keyWaits from "../store/key-waits.ts";
import type * as settlements from "../store/settlements.ts";
import * as triggers from "../store/triggers.ts";
import type { Context } from "./context.ts";
import { judgeOf } from "./decide.ts";
import { lockStandings } from "./key-standing.ts";
import { keyOf } from "./sending.ts";
import { announceSettled, settleWaits, timedOut } from "./settle-waits.ts";
import { decideGroups } from "./wait-groups.ts";

/** A wait on a key, of a run or of a step. */
export interface Wait {
  readonly project_id: string;
  readonly environment_id: string;
  readonly event_key: string;
  readonly owner:
    | { readonly job_run_id: string }
    | { readonly workflow_run_id: string; readonly workflow_step_run_id: string };
  /** Null: no deadline. */
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
  readonly grace_secs: number;
  readonly notify_url: string | null;
  readonly on_timeout: TimeoutPolicy | null;
  /** What the wait resolves to when nobody answers, under `resolve`. */
  readonly timeout_payload?: unknown;
  readonly on_cancel: CancelPolicy | null;
  readonly request_payload: unknown;
  /** A JSON Schema that was checked; null takes any payload. */
  readonly payload_schema: EventTrigger["payload_schema"];
  /** CEL that was checked; null takes any payload. */
  readonly filter: string | null;
  readonly tags: Record<string, string>;
  /** What happens when somebody waits on the key already. Without meaning for a broadcast, which waits beside others. */
  readonly on_conflict: OnConflict;
  readonly broadcast: boolean;
  /** The group whose member it is, and the member's share of what the group may hold. */
  readonly group_id?: string;
  readonly max_payload_bytes?: number;
  /** Only events buffered since then may answer it; null takes any, "none" none. */
  readonly buffered_since: string | null | "none";
  /** Which of several buffered events is taken. */
  readonly pick: BufferedPick;
  readonly actor: string;
}

/**
 * Opens a wait, as the next generation of its key; one that joins others is of theirs. The key's row is locked, so no event
 * can fall between "is somebody waiting?" and "is something buffered?" (B6); a buffered event, if any, answers it in
 * this transaction (B2). Waits that it replaces, and those whose deadline had passed unnoticed, are announced after the commit.
 *
 * @returns The trigger; `received` when a buffered event answered it at once.
 * @throws {StraitError} `key_in_use` when somebody waits on the key already, and the two cannot share it;
 *   `quota_exceeded`.
 */
export async function openWait(context: Context, tx: Transaction, wait: Wait): Promise<EventTrigger> {
  const key = { project_id: wait.project_id, environment_id: wait.environment_id, event_key: wait.event_key };
  const [locked] = await keyWaits.lockKeys(tx, [key]);
  const isReplacing = wait.on_conflict === "replace" && !wait.broadcast;
  const peer = isReplacing ? undefined : await keyWaits.lockPeer(tx, key);
  const waiting = peer ? [peer] : await lockAll(context, tx, key);
  const id = context.clock.newId("trg");
  const place = placeBeside(waiting, wait);
  // Who takes another's place leaves the number as it is.
  if (place !== "instead") await context.quota.admit(tx, wait.project_id);
  if (place === "instead") {
    const superseded = await supersede(context, tx, wait, id, waiting);
    const settled = [...superseded, ...(await decideGroups(context, tx, superseded))];
    tx.afterCommit(() => announceSettled(context, settled));
  }
  if (place === "beside" && !peer) await keyWaits.share(tx, wait.project_id, idsOf(waiting));
  const generation = (locked?.generation ?? 0) + (place === "beside" ? 0 : 1);
  // Who joins a question that is open joins what it accepts, too.
  const buffered = place === "beside" ? undefined : await firstFitting(tx, key, wait, { id, generation });
  await keyWaits.nameLatest(tx, [{ ...key, generation, trigger_id: id }]);
  const isRun = "job_run_id" in wait.owner;
  const [trigger] = await triggers.insert(tx, [
    {
      ...key,
      id,
      generation,
      slot: place === "beside" ? id : "",
      broadcast: wait.broadcast,
      group_id: wait.group_id ?? null,
      max_payload_bytes: wait.max_payload_bytes ?? null,
      source_type: isRun ? "job_run" : "workflow_step",
      trigger_type: "event",
      workflow_run_id: null,
      workflow_step_run_id: null,
      job_run_id: null,
      ...wait.owner,
      request_payload: wait.request_payload === null ? null : JSON.stringify(wait.request_payload),
      payload_schema: wait.payload_schema === null ? null : JSON.stringify(wait.payload_schema),
      filter: wait.filter,
      timeout_secs: wait.deadline === null ? wait.timeout_secs : null,
      deadline: wait.deadline,
      grace_secs: wait.grace_secs,
      notify_url: wait.notify_url,
      on_timeout: wait.on_timeout,
      timeout_payload: wait.on_timeout === "resolve" ? JSON.stringify(wait.timeout_payload) : null,
      on_cancel: wait.on_cancel,
      tags: JSON.stringify(wait.tags),
      actor: wait.actor,
      delivery_id: context.clock.newId("whd"),
      event_id: buffered?.id ?? null,
    },
  ]);
  if (!trigger) throw new Error("an event trigger was not inserted");
  tx.afterCommit(() => context.metrics.opened(trigger));
  if (wait.notify_url !== null) tx.afterCommit(() => context.signals.publish(["deliveries"]));
  return trigger;
}

/** What waits on a key; what is overdue is timed out. */
async function lockAll(context: Context, tx: Transaction, key: keyWaits.EventKey): Promise<readonly EventTrigger[]> {
  const { standings, ended } = await lockStandings(context, tx, [key]);
  // Told of even where this wait is refused and the transaction goes on.
  if (ended.length > 0) tx.afterCommit(() => announceSettled(context, ended));
  return (standings.get(keyOf(key)) ?? NOBODY).waiting;
}

const idsOf = (waiting: readonly EventTrigger[]): string[] => waiting.map(({ id }) => id);

/**
 * Ends what waits in favor of a new wait; the runs and steps see who took the key (U2). What has become overdue since the
 * look times out instead (R2).
 */
async function supersede(
  context: Context,
  tx: Transaction,
  { owner, actor }: Wait,
  id: string,
  waiting: readonly EventTrigger[],
): Promise<settlements.SettledTrigger[]> {
  const error = waitSuperseded(id, owner);
  const ends = waiting.map((trigger) => ({ projectId: trigger.project_id, triggerId: trigger.id, actor, error }));
  const superseded = await settleWaits(context, tx, "supersede", false, ends);
  if (superseded.length === ends.length) return superseded;
  const late = waiting.map((trigger) => timedOut(trigger.project_id, trigger.id));
  return [...superseded, ...(await settleWaits(context, tx, "timeOut", true, late))];
}

const BUFFERED_PAGE = 20;

/**
 * The first buffered event, in the order that the wait asks for, that is meant for it and that it can take. Those before it that break its schema become
 * dead letters (B8); those that are not meant for it stay buffered.
 */
async function firstFitting(
  tx: Transaction,
  key: keyWaits.EventKey,
  wait: Wait,
  trigger: { readonly id: string; readonly generation: number },
): Promise<{ readonly id: string } | undefined> {
  const { buffered_since, pick } = wait;
  if (buffered_since === "none") return undefined;
  const takesAny = wait.payload_schema === null && wait.filter === null && wait.max_payload_bytes === undefined;
  if (takesAny) return events.firstBuffered(tx, key, buffered_since, pick);
  const { hears, misfits } = judgeOf(wait.project_id);
  const terms = { ...wait, max_payload_bytes: wait.max_payload_bytes ?? null };
  for (let after: events.BufferedPayload | null = null; ; ) {
    const page: events.BufferedPayload[] = await events.bufferedAfter(
      tx,
      key,
      buffered_since,
      pick,
      after,
      BUFFERED_PAGE,
    );
    const rejected: events.RejectedEvent[] = [];
    const fitting = page.find(({ id, ...rest }) => {
      const event = { ...rest, event_key: key.event_key };
      if (!hears(wait, event)) return false;
      const issues = misfits(terms, event);
      if (issues.length > 0) rejected.push({ id, issues: JSON.stringify(issues) });
      return issues.length === 0;
    });
    const isHeld = fitting !== undefined && (await events.lockBuffered(tx, key.project_id, fitting.id));
    if (rejected.length > 0) await events.rejectBuffered(tx, { project_id: key.project_id, ...trigger }, rejected);
    const last = page.at(-1);
    if (isHeld || last === undefined) return fitting;
    after = fitting ?? last;
  }
}
