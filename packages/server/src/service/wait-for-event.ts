import type { AcceptBuffered, OpenedEventTrigger } from "@strait/contract";
import { bufferedSince } from "../domain/buffered-since.ts";
import { illegalMove } from "../domain/errors.ts";
import { checkFence } from "../domain/run-fence.ts";
import * as runMoves from "../store/run-moves.ts";
import * as runs from "../store/runs.ts";
import type { Context } from "./context.ts";
import { openWait, type Wait } from "./open-wait.ts";

/** A dispatch of a run that calls on its own behalf, as its token tells. */
export interface RunCaller {
  readonly projectId: string;
  readonly runId: string;
  readonly dispatchSeq: number;
  readonly actor: string;
}

export interface RunWait extends Omit<Wait, "project_id" | "environment_id" | "owner" | "buffered_since" | "actor"> {
  readonly accept_buffered: AcceptBuffered;
}

/**
 * Parks the calling run until an event comes: it is dispatched again, with the event's payload as its checkpoint. When the
 * event is there already the answer is a `received` trigger, and the run need not park; should its executor return all the
 * same, the run is dispatched again just as if it had.
 *
 * @throws {StraitError} `illegal_move` when the run does not execute, `stale_dispatch`, `run_closed`, `key_in_use`.
 */
export async function waitForEvent(context: Context, caller: RunCaller, wait: RunWait): Promise<OpenedEventTrigger> {
  const trigger = await context.db.transaction(async (tx) => {
    const fence = await runs.lockFence(tx, caller.projectId, caller.runId);
    checkFence(caller, fence);
    if (fence.status !== "executing") throw illegalMove("run", caller.runId, fence.status, "wait");
    const { accept_buffered, ...rest } = wait;
    const opened = await openWait(context, tx, {
      ...rest,
      project_id: caller.projectId,
      environment_id: fence.environment_id,
      owner: { job_run_id: caller.runId },
      buffered_since: bufferedSince(accept_buffered, fence.created_at),
      actor: caller.actor,
    });
    if (opened.status === "received") {
      await runs.takeEvent(tx, caller.projectId, caller.runId, opened.response_payload);
    } else {
      const item = { project_id: caller.projectId, id: caller.runId, dispatch_seq: caller.dispatchSeq };
      await runMoves.move(tx, "wait", [item], { actor: caller.actor });
    }
    return opened;
  });
  context.signals.publish([`trigger:${trigger.id}`, `run:${caller.runId}`]);
  return { ...trigger, trigger_id: trigger.id };
}
