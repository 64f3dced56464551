import type { GroupedWait, WaitForEvent } from "@strait/contract";
import { neededBy } from "../../domain/decide-group.ts";
import { DEFAULT_TIMEOUT_SECS } from "../../domain/defaults.ts";
import { notFound, payloadTooLarge, validationError } from "../../domain/errors.ts";
import { ON_CONFLICT_OR_BROADCAST } from "../../domain/normalize-steps.ts";
import { checkOneDeadline, eventKeyOf } from "../../domain/request-rules.ts";
import type { Context } from "../../service/context.ts";
import { receiveMessages } from "../../service/receive-messages.ts";
import * as report from "../../service/report-run.ts";
import { completeRun, failRun } from "../../service/run-outcome.ts";
import { type RunCaller, waitForEvent } from "../../service/wait-for-event.ts";
import { waitForEvents } from "../../service/wait-for-events.ts";
import { timeoutIssues, waitIssues } from "../../service/wait-issues.ts";
import * as reports from "../../store/run-reports.ts";
import * as runs from "../../store/runs.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

const MAX_STATE_BYTES = 64 * 1024;

export const sdkRunsRoutes: HandlersOf<"sdk-runs"> = {
  async getSdkV1RunsByRunIDPayload({ context, caller }) {
    const payload = await runs.findPayload(context.db, caller.projectId, caller.runId);
    if (payload === undefined) throw notFound("run", caller.runId);
    return payload;
  },

  postSdkV1RunsByRunIDLog: ({ context, caller, body }) =>
    report.logRun(context, caller, { level: body.level ?? "info", message: body.message, data: body.data ?? null }),

  postSdkV1RunsByRunIDProgress: ({ context, caller, body }) =>
    report.reportProgress(context, caller, { ...body, step: body.step ?? null, eta_seconds: body.eta_seconds ?? null }),

  postSdkV1RunsByRunIDHeartbeat: ({ context, caller }) => report.heartbeat(context, caller),

  postSdkV1RunsByRunIDCheckpoint: ({ context, caller, body }) =>
    report.saveCheckpoint(context, caller, body.source ?? "sdk", body.state),

  async getSdkV1RunsByRunIDCheckpoint({ context, caller }) {
    const checkpoint = await reports.findCheckpoint(context.db, caller.projectId, caller.runId);
    if (!checkpoint) throw notFound("checkpoint of run", caller.runId);
    return checkpoint;
  },

  postSdkV1RunsByRunIDAnnotate: ({ context, caller, body }) => report.annotateRun(context, caller, body.annotations),

  async postSdkV1RunsByRunIDState({ context, caller, body }) {
    if (Buffer.byteLength(JSON.stringify(body.value)) > MAX_STATE_BYTES)
      throw payloadTooLarge("value", MAX_STATE_BYTES);
    return report.setState(context, caller, body.key, body.value);
  },

  getSdkV1RunsByRunIDState: ({ context, caller, query }) =>
    reports.listState(context.db, caller.projectId, caller.runId, pageOf(query)),

  async getSdkV1RunsByRunIDStateByKey({ context, caller, path }) {
    const state = await reports.findState(context.db, caller.projectId, caller.runId, path.key);
    if (!state) throw notFound("state", path.key);
    return state;
  },

  async deleteSdkV1RunsByRunIDStateByKey({ context, caller, path }) {
    await report.removeState(context, caller, path.key);
    return undefined;
  },

  postSdkV1RunsByRunIDOutput: ({ context, caller, body }) =>
    report.setOutput(context, caller, body.output_key, body.value),

  async postSdkV1RunsByRunIDComplete({ context, caller, body, limits }) {
    const result = body?.result ?? null;
    if (Buffer.byteLength(JSON.stringify(result)) > limits.maxResultBytes)
      throw payloadTooLarge("result", limits.maxResultBytes);
    return completeRun(context, caller, result);
  },

  postSdkV1RunsByRunIDFail: ({ context, caller, body }) => failRun(context, caller, body.error, body.retryable ?? true),

  async postSdkV1RunsByRunIDWaitForEvent({ context, caller, body }) {
    const end = endOf(body);
    const { on_conflict: onConflict = "fail", broadcast = false } = body;
    if (broadcast && onConflict !== "fail") {
      throw validationError([{ field: "/on_conflict", rule: "notWithBroadcast", fix: ON_CONFLICT_OR_BROADCAST }]);
    }
    return waitForEvent(context, caller, {
      event_key: eventKeyOf(body.event_key, "/event_key"),
      ...end,
      ...checkedOf(context, caller, body, ""),
      on_timeout: body.on_timeout ?? "fail",
      timeout_payload: body.timeout_payload,
      on_cancel: body.on_cancel ?? "fail",
      accept_buffered: body.accept_buffered ?? "any",
      pick: body.pick ?? "oldest",
      request_payload: body.request_payload ?? null,
      tags: body.tags ?? {},
      on_conflict: onConflict,
      broadcast,
    });
  },

  async postSdkV1RunsByRunIDWaitForEvents({ context, caller, body }) {
    const { mode, count } = body;
    if ((mode === "at_least") !== (count !== undefined) || (count ?? 1) > body.waits.length) {
      const fix = `send from 1 to ${body.waits.length} with mode "at_least", and no count with another mode`;
      throw validationError([{ field: "/count", rule: "countOfMode", fix }]);
    }
    const waits = body.waits.map((wait, index) => groupedWaitOf(context, caller, wait, `/waits/${index}`));
    const keys = waits.map(({ event_key }) => event_key);
    const twice = keys.findIndex((key, index) => keys.indexOf(key) !== index);
    if (twice !== -1) {
      const fix = "give each wait of the group a key of its own";
      throw validationError([{ field: `/waits/${twice}/event_key`, rule: "uniqueItems", fix }]);
    }
    return waitForEvents(context, caller, {
      ...endOf(body),
      ...timeoutOf(caller, body),
      mode,
      needed: neededBy(mode, count, waits.length),
      waits,
      on_cancel: body.on_cancel ?? "fail",
    });
  },

  postSdkV1RunsByRunIDInboxReceive: async ({ context, caller, body }) =>
    receiveMessages(context, caller, {
      ...endOf(body ?? {}),
      ...timeoutOf(caller, body ?? {}),
      names: body?.names ?? null,
      max: body?.max ?? 1,
    }),
};

/** Until when a wait lasts. */
function endOf(body: Pick<WaitForEvent, "timeout_secs" | "deadline" | "grace_secs">): {
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
  readonly grace_secs: number;
} {
  checkOneDeadline(body);
  const timeout_secs = body.timeout_secs === undefined ? DEFAULT_TIMEOUT_SECS : body.timeout_secs;
  return { timeout_secs, deadline: body.deadline ?? null, grace_secs: body.grace_secs ?? 0 };
}

/** What happens when it is over, of a wait whose answer has no schema. */
function timeoutOf(
  { projectId }: RunCaller,
  { on_timeout = "fail", timeout_payload }: Pick<WaitForEvent, "on_timeout" | "timeout_payload">,
) {
  const [first, ...others] = timeoutIssues(
    projectId,
    { on_timeout, timeout_payload, payload_schema: null },
    "/timeout_payload",
  );
  if (first) throw validationError([first, ...others]);
  return { on_timeout, timeout_payload };
}

/** What a wait asks of its answers and where it tells of itself; refused here where it would fail later. */
function checkedOf(
  { allowPrivateEndpoints }: Pick<Context, "allowPrivateEndpoints">,
  { projectId }: RunCaller,
  wait: Pick<GroupedWait, "notify_url" | "payload_schema" | "filter"> &
    Pick<WaitForEvent, "on_timeout" | "timeout_payload">,
  at: string,
) {
  const { on_timeout = "fail", timeout_payload } = wait;
  const checked = {
    notify_url: wait.notify_url ?? null,
    payload_schema: wait.payload_schema ?? null,
    filter: wait.filter ?? null,
  };
  const [first, ...others] = waitIssues(
    projectId,
    { ...checked, on_timeout, timeout_payload },
    at,
    allowPrivateEndpoints,
  );
  if (first) throw validationError([first, ...others]);
  return checked;
}

function groupedWaitOf(context: Context, caller: RunCaller, wait: GroupedWait, at: string) {
  return {
    ...checkedOf(context, caller, wait, at),
    event_key: eventKeyOf(wait.event_key, `${at}/event_key`),
    accept_buffered: wait.accept_buffered ?? "any",
    pick: wait.pick ?? "oldest",
    request_payload: wait.request_payload ?? null,
    tags: wait.tags ?? {},
  };
}
