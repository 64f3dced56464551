import type { AcceptBuffered, OpenedWaitGroup, RunTimeoutPolicy, WaitGroupMode, WaitPolicy } from "@strait/contract";
import { bufferedSince } from "../domain/buffered-since.ts";
import { groupResult } from "../domain/decide-group.ts";
import { illegalMove } from "../domain/errors.ts";
import { checkFence } from "../domain/run-fence.ts";
import type { Transaction } from "../store/database.ts";
import * as keyWaits from "../store/key-waits.ts";
import * as runMoves from "../store/run-moves.ts";
import type { RunFence } from "../store/runs.ts";
import * as runs from "../store/runs.ts";
import type { SettledTrigger } from "../store/settlements.ts";
import * as waitGroups from "../store/wait-groups.ts";
import type { Context } from "./context.ts";
import { lockStandings } from "./key-standing.ts";
import { openWait, type Wait } from "./open-wait.ts";
import { announceSettled } from "./settle-waits.ts";
import type { RunCaller } from "./wait-for-event.ts";
import { closeLosers } from "./wait-groups.ts";

export interface GroupedWait
  extends Pick<Wait, "event_key" | "notify_url" | "payload_schema" | "filter" | "request_payload" | "tags" | "pick"> {
  readonly accept_buffered: AcceptBuffered;
}

export interface WaitForEvents {
  readonly mode: WaitGroupMode;
  /** How many answers it takes. */
  readonly needed: number;
  /** Each with a key of its own. */
  readonly waits: readonly GroupedWait[];
  /** Null: no deadline. */
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
  readonly grace_secs: number;
  readonly on_timeout: RunTimeoutPolicy;
  /** What the run is told when the deadline passes, under `resolve`. */
  readonly timeout_payload?: unknown;
  readonly on_cancel: WaitPolicy;
}

/**
 * Parks the calling run until enough of several keys are answered. The group is a trigger of its own, which has the
 * deadline and wakes the run; its members have the keys, and whoever ends one decides the group (`decideGroups`).
 *
 * @throws {StraitError} `illegal_move` when the run does not execute, `stale_dispatch`, `run_closed`, `key_in_use`.
 */
export async function waitForEvents(
  context: Context,
  caller: RunCaller,
  group: WaitForEvents,
): Promise<OpenedWaitGroup> {
  const { opened, ended } = await context.db.transaction(async (tx) => {
    const fence = await runs.lockFence(tx, caller.projectId, caller.runId);
    checkFence(caller, fence);
    if (fence.status !== "executing") throw illegalMove("run", caller.runId, fence.status, "wait");
    return open(context, tx, caller, fence, group);
  });
  announceSettled(context, ended);
  const topics = [opened.trigger_id, ...opened.waits.map(({ id }) => id)].map((id) => `trigger:${id}` as const);
  context.signals.publish([...topics, `run:${caller.runId}`]);
  return opened;
}

/** What the answers of a group have together at most: they become the checkpoint of its run. */
const RESULT_BYTES = 4 * 1024 * 1024;

async function open(
  context: Context,
  tx: Transaction,
  { projectId: project_id, runId, dispatchSeq, actor }: RunCaller,
  { environment_id, created_at }: RunFence,
  group: WaitForEvents,
): Promise<{ opened: OpenedWaitGroup; ended: readonly SettledTrigger[] }> {
  const { mode, needed, waits: asked, timeout_secs, deadline, grace_secs } = group;
  await context.quota.admit(tx, project_id);
  const keys = asked.map(({ event_key }) => ({ project_id, environment_id, event_key }));
  await keyWaits.lockKeys(tx, keys);
  const { ended } = await lockStandings(context, tx, keys);
  const expires_at = await waitGroups.deadlineOf(tx, timeout_secs, deadline);
  const id = context.clock.newId("trg");

  let waits: OpenedWaitGroup["waits"] = [];
  let winner: string | null = null;
  let missing = needed;
  for (const { accept_buffered, ...wait } of asked) {
    const trigger = await openWait(context, tx, {
      ...wait,
      project_id,
      environment_id,
      owner: { job_run_id: runId },
      group_id: id,
      max_payload_bytes: Math.floor(RESULT_BYTES / needed),
      timeout_secs: null,
      deadline: expires_at,
      grace_secs,
      on_timeout: null,
      on_cancel: null,
      on_conflict: "fail",
      broadcast: false,
      buffered_since: missing === 0 ? "none" : bufferedSince(accept_buffered, created_at),
      actor,
    });
    if (trigger.status === "received" && --missing === 0) winner = trigger.event_key;
    waits.push(trigger);
  }

  const isMet = missing === 0;
  if (isMet) {
    const open = waits.filter(({ status }) => status === "waiting");
    const losers = await closeLosers(context, tx, open, actor);
    ended.push(...losers);
    const closed = new Map(losers.map(({ claimed: _claimed, owner_pending: _pending, ...wait }) => [wait.id, wait]));
    waits = waits.map((wait) => closed.get(wait.id) ?? wait);
  }
  const result = isMet ? groupResult({ mode, needed }, waits, winner) : null;
  const { status } = await waitGroups.insert(tx, {
    project_id,
    id,
    environment_id,
    job_run_id: runId,
    mode,
    needed,
    timeout_secs: deadline === null ? timeout_secs : null,
    expires_at,
    grace_secs,
    on_timeout: group.on_timeout,
    timeout_payload: group.on_timeout === "resolve" ? JSON.stringify(group.timeout_payload) : null,
    on_cancel: group.on_cancel,
    actor,
    result: result === null ? null : JSON.stringify(result),
  });
  if (result !== null) await runs.takeEvent(tx, project_id, runId, result);
  else await runMoves.move(tx, "wait", [{ project_id, id: runId, dispatch_seq: dispatchSeq }], { actor });
  return { opened: { trigger_id: id, status, mode, count: needed, expires_at, waits, result }, ended };
}
