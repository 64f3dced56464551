import type { Run, RunSummary } from "@strait/contract";
import { isTerminalRunStatus } from "@strait/core";
import { bufferedSince, eventKeyOf } from "@strait/server/pure";
import type { Caller } from "../../access.ts";
import { callingRun, cancelRun, endRun, failAttempt, parkRun, saveCheckpoint, takeEvent } from "../runs.ts";
import type { Store } from "../store.ts";
import { openStream } from "../streams.ts";
import { checkTerms } from "../terms.ts";
import { openWait } from "../waits.ts";
import { pageOf } from "../wire.ts";
import { deadlineOf, executing, found, type Modeled, newestFirst } from "./model.ts";

function summaryOf({ payload: _, result: _result, checkpoint: _checkpoint, ...summary }: Run): RunSummary {
  return summary;
}

/** A repeat by the same dispatch answers with the run as it is. */
function endOnce(
  store: Store,
  { caller, pathParams }: { readonly caller: Caller; readonly pathParams: { readonly runID: string } },
  status: "completed" | "failed",
  end: (run: Run) => Run,
): { readonly status: 200; readonly body: Run } {
  const run = found(store.runs.get(pathParams.runID), "run", pathParams.runID);
  if (run.status === status && run.dispatch_seq === caller.dispatchSeq) return { status: 200, body: run };
  return { status: 200, body: end(callingRun(store, pathParams.runID, caller.dispatchSeq ?? 0)) };
}

export const runOperations: Modeled = {
  getV1Runs(store, { query }) {
    const jobs = store.jobs.all();
    const jobId = query.job_id && (jobs.find(({ slug }) => slug === query.job_id)?.id ?? query.job_id);
    const rows = newestFirst(store.runs.all()).filter(
      (run) =>
        (query.status === undefined || run.status === query.status) &&
        (jobId === undefined || run.job_id === jobId) &&
        (query.workflow_run_id === undefined || run.workflow_run_id === query.workflow_run_id) &&
        (query.batch_id === undefined || run.batch_id === query.batch_id),
    );
    return { status: 200, body: pageOf(rows.map(summaryOf), query) };
  },

  getV1RunsByRunID: ({ runs }, { pathParams }) => ({
    status: 200,
    body: found(runs.get(pathParams.runID), "run", pathParams.runID),
  }),

  deleteV1RunsByRunID(store, { pathParams, query, caller }) {
    const run = found(store.runs.get(pathParams.runID), "run", pathParams.runID);
    return { status: 200, body: cancelRun(store, run, query.reason, caller.actor) };
  },

  getV1RunsByRunIDStream({ runs }, { pathParams, query, request, streams }) {
    const { id } = found(runs.get(pathParams.runID), "run", pathParams.runID);
    const isTerminal = ({ status }: Run) => isTerminalRunStatus(status);
    return openStream({ table: runs, id, isTerminal }, query, request, streams);
  },

  getSdkV1RunsByRunIDPayload: ({ runs }, { pathParams }) => ({
    status: 200,
    body: found(runs.get(pathParams.runID), "run", pathParams.runID).payload,
  }),

  getSdkV1RunsByRunIDCheckpoint: ({ checkpoints }, { pathParams }) => ({
    status: 200,
    body: found(checkpoints.get(pathParams.runID), "checkpoint of run", pathParams.runID),
  }),

  postSdkV1RunsByRunIDCheckpoint(store, { pathParams, body, caller }) {
    const run = executing(store, caller, pathParams.runID, "report");
    store.runs.change(run, { checkpoint: body.state });
    return { status: 201, body: saveCheckpoint(store, run, body.source ?? "sdk", body.state) };
  },

  postSdkV1RunsByRunIDProgress(store, { pathParams, body, caller }) {
    const run = executing(store, caller, pathParams.runID, "report");
    const { percent, message, step = null, eta_seconds = null } = body;
    const created_at = store.clock.timestamp();
    store.runs.change(run, { progress: { percent, message, step, eta_seconds, reported_at: created_at } });
    const sequence = store.runs.versions(run.id).length;
    const entry = { type: "progress", level: "info", message, data: { percent, step, eta_seconds } } as const;
    return { status: 201, body: { id: `${run.id}:${sequence}`, run_id: run.id, sequence, ...entry, created_at } };
  },

  postSdkV1RunsByRunIDHeartbeat(store, { pathParams, caller }) {
    const run = executing(store, caller, pathParams.runID, "report");
    store.runs.change(run, { heartbeat_at: store.clock.timestamp() });
    return { status: 200, body: { status: "ok" } };
  },

  postSdkV1RunsByRunIDComplete: (store, call) =>
    endOnce(store, call, "completed", (run) => endRun(store, run, "complete", { result: call.body?.result ?? null })),

  postSdkV1RunsByRunIDFail: (store, call) =>
    endOnce(store, call, "failed", (run) => {
      const { error, retryable = true } = call.body;
      return failAttempt(store, run, { error, error_class: "reported", retryable });
    }),

  postSdkV1RunsByRunIDWaitForEvent(store, { pathParams, body, caller }) {
    const event_key = eventKeyOf(body.event_key, "/event_key");
    const { on_conflict = "fail", broadcast = false, accept_buffered = "any" } = body;
    const { on_timeout = "fail", on_cancel = "fail", timeout_payload = null } = body;
    const { payload_schema = null, filter = null } = body;
    checkTerms({ payload_schema, filter });
    const run = executing(store, caller, pathParams.runID, "wait");
    const trigger = openWait(store, {
      ...deadlineOf(body),
      grace_secs: body.grace_secs ?? 0,
      event_key,
      owner: { job_run_id: run.id },
      notify_url: body.notify_url ?? null,
      on_timeout,
      timeout_payload,
      on_cancel,
      request_payload: body.request_payload ?? null,
      payload_schema,
      filter,
      tags: body.tags ?? {},
      on_conflict,
      broadcast,
      buffered_since: bufferedSince(accept_buffered, run.created_at),
      pick: body.pick ?? "oldest",
      actor: caller.actor,
    });
    if (trigger.status === "waiting") parkRun(store, run);
    else takeEvent(store, run, trigger.response_payload);
    return { status: 200, body: { ...trigger, trigger_id: trigger.id } };
  },
};
