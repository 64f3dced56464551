import type { EventTrigger } from "@strait/contract";
import { keyInUse } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import * as triggers from "../store/triggers.ts";
import type { Context } from "./context.ts";
import { hears, misfits } from "./decide.ts";
import { settleWaits, timedOut } from "./settle-waits.ts";

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
  readonly notify_url: string | null;
  readonly on_timeout: "fail" | "resume" | null;
  readonly on_cancel: "fail" | "resume" | null;
  readonly request_payload: unknown;
  /** A JSON Schema that was checked; null takes any payload. */
  readonly payload_schema: EventTrigger["payload_schema"];
  /** CEL that was checked; null takes any payload. */
  readonly filter: string | null;
  readonly tags: Record<string, string>;
  /** Only events buffered since then may answer it; null takes any, "none" none. */
  readonly buffered_since: string | null | "none";
  readonly actor: string;
}

export interface OpenedWait {
  /** `received` when a buffered event answered it at once. */
  readonly trigger: EventTrigger;
  /** A wait whose deadline had passed unnoticed, which this one has ended. To be announced after the commit. */
  readonly ended: readonly triggers.SettledTrigger[];
}

/**
 * Opens a wait, as the next generation of its key. The key's row is locked, so no event can fall between "is somebody
 * waiting?" and "is something buffered?" (B6); the oldest buffered event, if any, answers it in this transaction (B2).
 *
 * @throws {StraitError} `key_in_use` when somebody waits on the key already; `quota_exceeded`.
 */
export async function openWait(context: Context, tx: Transaction, wait: Wait): Promise<OpenedWait> {
  await context.quota.admit(tx, wait.project_id);
  const key = { project_id: wait.project_id, environment_id: wait.environment_id, event_key: wait.event_key };
  const [locked] = await triggers.lockKeys(tx, [key]);
  const ended = await closeOverdue(context, tx, key);
  const id = context.clock.newId("trg");
  const generation = (locked?.generation ?? 0) + 1;
  const buffered = await firstFitting(tx, key, wait, { id, generation });
  await triggers.nameLatest(tx, [{ ...key, generation, trigger_id: id }]);
  const isRun = "job_run_id" in wait.owner;
  const [trigger] = await triggers.insert(tx, [
    {
      ...key,
      id,
      generation,
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
      notify_url: wait.notify_url,
      on_timeout: wait.on_timeout,
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
  return { trigger, ended };
}

const BUFFERED_PAGE = 20;

/**
 * The oldest buffered event that is meant for the wait and that it can take. Those before it that break its schema become
 * dead letters (B8); those that are not meant for it stay buffered.
 */
async function firstFitting(
  tx: Transaction,
  key: triggers.EventKey,
  wait: Wait,
  trigger: { readonly id: string; readonly generation: number },
): Promise<{ readonly id: string } | undefined> {
  const { buffered_since } = wait;
  if (buffered_since === "none") return undefined;
  if (wait.payload_schema === null && wait.filter === null) return events.oldestBuffered(tx, key, buffered_since);
  for (let after = ""; ; ) {
    const page = await events.bufferedAfter(tx, key, buffered_since, after, BUFFERED_PAGE);
    const rejected: events.RejectedEvent[] = [];
    const fitting = page.find(({ id, ...rest }) => {
      const event = { ...rest, event_key: key.event_key };
      if (!hears(wait, event)) return false;
      const issues = misfits(wait, event);
      if (issues.length > 0) rejected.push({ id, issues: JSON.stringify(issues) });
      return issues.length === 0;
    });
    if (rejected.length > 0) await events.rejectBuffered(tx, { project_id: key.project_id, ...trigger }, rejected);
    const last = page.at(-1);
    if (fitting || last === undefined) return fitting;
    after = last.id;
  }
}

async function closeOverdue(
  context: Context,
  tx: Transaction,
  key: triggers.EventKey,
): Promise<triggers.SettledTrigger[]> {
  await triggers.lockWaiting(tx, [key]);
  const [latest] = await triggers.latestOf(tx, [key]);
  if (latest?.status !== "waiting") return [];
  if (!latest.overdue) throw keyInUse(latest);
  return settleWaits(context, tx, "timeOut", true, [timedOut(latest.project_id, latest.id)]);
}
