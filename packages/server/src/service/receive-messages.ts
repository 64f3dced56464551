import type { EventTrigger, ReceivedMessages, RunTimeoutPolicy } from "@strait/contract";
import { illegalMove, notFound } from "../domain/errors.ts";
import { checkFence } from "../domain/run-fence.ts";
import type { Transaction } from "../store/database.ts";
import * as inboxes from "../store/inboxes.ts";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import * as triggers from "../store/triggers.ts";
import type { Context } from "./context.ts";
import type { RunCaller } from "./wait-for-event.ts";

export interface Receive {
  /** Null for any. */
  readonly names: readonly string[] | null;
  readonly max: number;
  /** Null: no deadline. */
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
  readonly grace_secs: number;
  readonly on_timeout: RunTimeoutPolicy;
  /** What the run is told when no message comes, under `resolve`. */
  readonly timeout_payload?: unknown;
}

/**
 * Hands the oldest messages to the calling run, or parks it until one comes (GR-02). What was received is the run's
 * checkpoint in either case, so that a dispatch in its place is told the same; see docs/decisions/012.
 *
 * @throws {StraitError} `illegal_move` when the run does not execute, `stale_dispatch`, `run_closed`.
 */
export async function receiveMessages(
  context: Context,
  caller: RunCaller,
  receive: Receive,
): Promise<ReceivedMessages> {
  const { projectId, runId } = caller;
  const received = await context.db.transaction(async (tx): Promise<ReceivedMessages> => {
    const fence = await runs.lockFence(tx, projectId, runId);
    checkFence(caller, fence);
    if (fence.status !== "executing") throw illegalMove("run", runId, fence.status, "wait");
    const inbox = await inboxes.lock(tx, projectId, runId);
    if (!inbox) throw notFound("run", runId);
    const messages = await inboxes.take(tx, projectId, runId, receive.names, receive.max);
    if (messages.length === 0) {
      return { status: "waiting", messages, trigger: await park(context, tx, caller, fence.environment_id, receive) };
    }
    await runs.takeEvent(tx, projectId, runId, { messages });
    return { status: "received", messages, trigger: null };
  });
  const topics = received.trigger === null ? [] : ([`trigger:${received.trigger.id}`] as const);
  context.signals.publish([...topics, `run:${runId}`]);
  return received;
}

async function park(
  { clock, quota }: Context,
  tx: Transaction,
  { projectId, runId, dispatchSeq, actor }: RunCaller,
  environmentId: string,
  { names, timeout_secs, deadline, grace_secs, on_timeout, timeout_payload }: Receive,
): Promise<EventTrigger> {
  await quota.admit(tx, projectId);
  const id = clock.newId("trg");
  const [trigger] = await triggers.insert(tx, [
    {
      project_id: projectId,
      id,
      environment_id: environmentId,
      event_key: `inbox:${runId}`,
      generation: 1,
      slot: "",
      broadcast: false,
      source_type: "job_run",
      trigger_type: "inbox",
      workflow_run_id: null,
      workflow_step_run_id: null,
      job_run_id: runId,
      request_payload: names === null ? null : JSON.stringify({ names }),
      payload_schema: null,
      timeout_secs: deadline === null ? timeout_secs : null,
      deadline,
      grace_secs,
      notify_url: null,
      on_timeout,
      timeout_payload: on_timeout === "resolve" ? JSON.stringify(timeout_payload) : null,
      on_cancel: "fail",
      tags: "{}",
      actor,
      delivery_id: "",
      event_id: null,
    },
  ]);
  if (!trigger) throw new Error("the wait on an inbox was not inserted");
  await inboxes.setWaiter(tx, projectId, runId, id, names);
  await runMoves.move(tx, "wait", [{ project_id: projectId, id: runId, dispatch_seq: dispatchSeq }], { actor });
  return trigger;
}
