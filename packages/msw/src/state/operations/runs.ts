import type { CreateJob, Job, JsonValue, Run, RunSummary } from "@strait/contract";
import { isTerminalRunStatus, jsonEquals } from "@strait/core";
import {
  bufferedSince,
  disabled,
  eventKeyOf,
  idempotencyMismatch,
  illegalMove,
  JOB_DEFAULTS,
  payloadMismatch,
  validationError,
} from "@strait/server/pure";
import type { Caller } from "../../access.ts";
import {
  callingRun,
  cancelRun,
  createRun,
  endRun,
  failAttempt,
  parkRun,
  saveCheckpoint,
  takeEvent,
  tokenOf,
} from "../runs.ts";
import type { Store } from "../store.ts";
import { openStream } from "../streams.ts";
import { payloadIssues, termIssues } from "../terms.ts";
import { openWait } from "../waits.ts";
import { digestOf, pageOf } from "../wire.ts";
import { deadlineOf, found, type Modeled, named, newestFirst, refuseTaken } from "./model.ts";

function summaryOf({ payload: _, result: _result, checkpoint: _checkpoint, ...summary }: Run): RunSummary {
  return summary;
}

function createJob({ clock, jobs, project }: Store, body: CreateJob): Job {
  refuseTaken(jobs.all(), "job", body.slug);
  const now = clock.timestamp();
  return jobs.put({
    ...JOB_DEFAULTS,
    ...body,
    ...project,
    id: clock.newId("job"),
    version: 1,
    created_at: now,
    updated_at: now,
  });
}

/** The calling run, which executes. */
function executing(store: Store, call: Caller, runID: string, move: "report" | "wait"): Run {
  const run = callingRun(store, runID, call.dispatchSeq ?? 0);
  if (run.status !== "executing") throw illegalMove("run", run.id, run.status, move);
  return run;
}

/** The first run of a job with this key; a repeat has to ask for the same. */
function runOfKey({ runs }: Store, job: Job, key: string | null, payload: JsonValue): Run | undefined {
  if (key === null) return undefined;
  const run = runs.all().find(({ job_id, idempotency_key }) => job_id === job.id && idempotency_key === key);
  if (run && !jsonEquals(run.payload, payload)) throw idempotencyMismatch(key);
  return run;
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
  postV1Jobs: (store, { body }) => ({ status: 201, body: createJob(store, body) }),

  getV1Jobs: ({ jobs }, { query }) => ({ status: 200, body: pageOf(newestFirst(jobs.all()), query) }),

  getV1JobsByJobID: ({ jobs }, { pathParams }) => ({ status: 200, body: named(jobs.all(), "job", pathParams.jobID) }),

  async postV1JobsByJobIDTrigger(store, { pathParams, body, idempotencyKey }) {
    const job = named(store.jobs.all(), "job", pathParams.jobID);
    if (!job.enabled) throw disabled("job", job.slug);
    const { payload = null, tags = {}, scheduled_at = null, priority = 0 } = body ?? {};
    const [first, ...others] =
      job.payload_schema === null ? [] : payloadIssues(job.payload_schema, payload, "/payload");
    if (first) throw payloadMismatch([first, ...others]);
    const payload_hash = await digestOf(payload);
    if (body?.dry_run) {
      const dryRun = { dry_run: true, job_id: job.id, payload_hash, payload, scheduled_at, expires_at: null } as const;
      return { status: 200, body: dryRun };
    }
    const known = runOfKey(store, job, idempotencyKey, payload);
    if (known) {
      const { id, status } = known;
      const body = { id, status, payload_hash, run_token: null, idempotency_hit: true };
      return { status: 200, body, replayed: true };
    }
    const options = { tags, scheduled_at, priority, idempotency_key: idempotencyKey, triggered_by: "manual" } as const;
    const run = createRun(store, { ...options, job, payload });
    const run_token = tokenOf(run);
    return { status: 201, body: { id: run.id, status: run.status, payload_hash, run_token, idempotency_hit: false } };
  },

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
    const [first, ...others] = termIssues({ payload_schema, filter });
    if (first) throw validationError([first, ...others]);
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
