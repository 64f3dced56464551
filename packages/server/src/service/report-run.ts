import type { Checkpoint, Run, RunEvent, RunOutput, RunState } from "@strait/contract";
import { illegalMove, notFound } from "../domain/errors.ts";
import { checkFence } from "../domain/run-fence.ts";
import * as reports from "../store/run-reports.ts";
import * as runs from "../store/runs.ts";
import type { Context } from "./context.ts";
import type { RunCaller } from "./wait-for-event.ts";

/** What a dispatch may tell about its run while it lives. Each is one statement, conditional on the dispatch number. */

const reporterOf = ({ projectId, runId, dispatchSeq, actor }: RunCaller): reports.Reporter => ({
  project_id: projectId,
  run_id: runId,
  dispatch_seq: dispatchSeq,
  actor,
});

/** The answer, or the reason why there is none: the run has ended, was dispatched again, or is not under way. */
async function reported<Answer>(context: Context, caller: RunCaller, answer: Answer | undefined): Promise<Answer> {
  if (answer !== undefined) return answer;
  const fence = await runs.findFence(context.db, caller.projectId, caller.runId);
  checkFence(caller, fence);
  throw illegalMove("run", caller.runId, fence.status, "report");
}

export async function logRun(
  context: Context,
  caller: RunCaller,
  entry: { readonly level: string; readonly message: string; readonly data: unknown },
): Promise<RunEvent> {
  const event = await reports.log(context.db, reporterOf(caller), { kind: "log", ...entry });
  return announced(context, caller, await reported(context, caller, event));
}

export async function reportProgress(
  context: Context,
  caller: RunCaller,
  progress: {
    readonly percent: number;
    readonly message: string;
    readonly step: string | null;
    readonly eta_seconds: number | null;
  },
): Promise<RunEvent> {
  const { message, ...data } = progress;
  const event = await reports.progress(context.db, reporterOf(caller), {
    kind: "progress",
    level: "info",
    message,
    data,
  });
  return announced(context, caller, await reported(context, caller, event));
}

export async function annotateRun(
  context: Context,
  caller: RunCaller,
  annotations: Record<string, string>,
): Promise<Run> {
  const what = { kind: "annotation", level: "info", message: null, data: annotations };
  await reported(context, caller, await reports.annotate(context.db, reporterOf(caller), what));
  const run = await runs.find(context.db, caller.projectId, caller.runId);
  if (!run) throw notFound("run", caller.runId);
  return announced(context, caller, run);
}

/** A sign of life. The first one of a run that was sent by HTTP takes it off its lease: from now on it goes on by itself. */
export async function heartbeat(context: Context, caller: RunCaller): Promise<{ status: "ok" }> {
  await reported(context, caller, (await reports.heartbeat(context.db, reporterOf(caller))) || undefined);
  await runs.detach(context.db, caller.projectId, caller.runId, caller.dispatchSeq, false);
  return { status: "ok" };
}

export async function saveCheckpoint(
  context: Context,
  caller: RunCaller,
  source: string,
  state: unknown,
): Promise<Checkpoint> {
  const checkpoint = await reports.saveCheckpoint(context.db, reporterOf(caller), source, state);
  return announced(context, caller, await reported(context, caller, checkpoint));
}

export async function setState(context: Context, caller: RunCaller, key: string, value: unknown): Promise<RunState> {
  return reported(context, caller, await reports.setState(context.db, reporterOf(caller), key, value));
}

export async function removeState(context: Context, caller: RunCaller, key: string): Promise<void> {
  const wasThere = await reports.removeState(context.db, reporterOf(caller), key);
  if (!(await reported(context, caller, wasThere))) throw notFound("state", key);
}

export async function setOutput(context: Context, caller: RunCaller, key: string, value: unknown): Promise<RunOutput> {
  return reported(context, caller, await reports.setOutput(context.db, reporterOf(caller), key, value));
}

function announced<Answer>({ signals }: Context, { runId }: RunCaller, answer: Answer): Answer {
  signals.publish([`run:${runId}`]);
  return answer;
}
