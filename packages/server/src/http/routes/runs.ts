import { isTerminalRunStatus } from "@strait/core";
import { asOf } from "../../domain/as-of.ts";
import { notFound } from "../../domain/errors.ts";
import { cancelRun } from "../../service/cancel-run.ts";
import { sendMessage } from "../../service/send-message.ts";
import { missingRun } from "../../service/start-if-missing.ts";
import * as changes from "../../store/changes.ts";
import * as inboxes from "../../store/inboxes.ts";
import * as jobs from "../../store/jobs.ts";
import * as runs from "../../store/runs.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";
import { openStream } from "../streams.ts";
import { subjectSource } from "../subject-source.ts";

export const runsRoutes: HandlersOf<"runs"> = {
  async getV1Runs({ context, caller, query }) {
    const job = query.job_id === undefined ? undefined : await jobs.find(context.db, caller.projectId, query.job_id);
    return runs.list(context.db, caller.projectId, { ...query, job_id: job?.id ?? query.job_id }, pageOf(query));
  },

  async getV1RunsByRunID({ context, caller, path }) {
    const run = await runs.find(context.db, caller.projectId, path.runID);
    if (!run) throw notFound("run", path.runID);
    return run;
  },

  deleteV1RunsByRunID: ({ context, caller, path, query }) => cancelRun(context, caller, path.runID, query.reason),

  async getV1RunsByRunIDEvents({ context, caller, path, query }) {
    const run = await runs.find(context.db, caller.projectId, path.runID);
    if (!run) throw notFound("run", path.runID);
    return changes.list(context.db, caller.projectId, path.runID, pageOf(query));
  },

  async getV1RunsByRunIDInbox({ context, caller, path, query }) {
    if (!(await runs.findFence(context.db, caller.projectId, path.runID))) throw notFound("run", path.runID);
    return inboxes.list(context.db, caller.projectId, path.runID, query, pageOf(query));
  },

  async postV1RunsByRunIDInboxByName({ context, caller, path, body, idempotency }) {
    const start = body?.start_if_missing;
    const missing = start && { job_id: start.job_id, payload: start.payload ?? null, tags: start.tags ?? {} };
    return sendMessage(context, {
      project_id: caller.projectId,
      run_id: path.runID,
      start_if_missing: missing ? await missingRun(context, caller, path.runID, missing) : null,
      name: path.name,
      payload: body?.payload ?? null,
      actor: caller.actor,
      idempotency,
    });
  },

  async getV1RunsByRunIDStream({ context, caller, path, query, headers, streams }) {
    const read = () => runs.findNumbered(context.db, caller.projectId, path.runID);
    if (!(await read())) throw notFound("run", path.runID);
    const source = subjectSource(context.db, caller.projectId, path.runID, "run", {
      read,
      isTerminal: (run) => isTerminalRunStatus(run.status),
      asOf: (run, change) =>
        asOf(run, change, change.after !== null && isTerminalRunStatus(change.after as typeof run.status)),
    });
    const lastEventId = headers["Last-Event-ID"];
    return openStream(streams, context, source, { projectId: caller.projectId, lastEventId, cursor: query.cursor });
  },
};
