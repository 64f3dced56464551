import { notFound } from "../../domain/errors.ts";
import { triggerInputOf } from "../../domain/request-defaults.ts";
import { createJob, deleteJob, updateJob } from "../../service/job-definition.ts";
import { dryRunTrigger, triggerJob, triggerJobInBulk } from "../../service/trigger-job.ts";
import * as jobs from "../../store/jobs.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

/** Tells that the effect is that of an earlier request. */
const REPLAYED = { replayed: true };

export const jobsRoutes: HandlersOf<"jobs"> = {
  postV1Jobs: ({ context, caller, body }) => createJob(context, caller, body),

  getV1Jobs: ({ context, caller, query }) => jobs.list(context.db, caller.projectId, pageOf(query)),

  async getV1JobsByJobID({ context, caller, path }) {
    const job = await jobs.find(context.db, caller.projectId, path.jobID);
    if (!job) throw notFound("job", path.jobID);
    return job;
  },

  patchV1JobsByJobID: ({ context, caller, path, body }) => updateJob(context, caller, path.jobID, body ?? {}),

  async deleteV1JobsByJobID({ context, caller, path }) {
    await deleteJob(context, caller, path.jobID);
    return undefined;
  },

  async postV1JobsByJobIDTrigger({ context, tokens, lanes, caller, path, body, idempotency }) {
    const deps = { context, tokens };
    const input = triggerInputOf(body, idempotency?.key);
    if (body?.dry_run) return { status: 200, body: await dryRunTrigger(deps, caller, path.jobID, input) };
    const run = await triggerJob(deps, lanes.enqueue, caller, path.jobID, input);
    return run.idempotency_hit ? { status: 200, body: run, ...REPLAYED } : { status: 201, body: run };
  },

  postV1JobsByJobIDTriggerBulk: ({ caller, path, body, ...deps }) =>
    triggerJobInBulk(
      deps,
      caller,
      path.jobID,
      body.items.map((item) => triggerInputOf(item, item.idempotency_key)),
    ),
};
