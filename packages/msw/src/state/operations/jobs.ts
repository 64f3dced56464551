import type { CreateJob, Job, Run, TriggeredRun } from "@strait/contract";
import { isTerminalRunStatus, jsonEquals } from "@strait/core";
import {
  disabled,
  hasLiveRuns,
  idempotencyMismatch,
  JOB_DEFAULTS,
  payloadMismatch,
  type TriggerInput,
  triggerInputOf,
} from "@strait/server/pure";
import { createRun, tokenOf } from "../runs.ts";
import type { Store } from "../store.ts";
import { checkTerms, payloadIssues } from "../terms.ts";
import { digestOf, pageOf } from "../wire.ts";
import { type Modeled, named, newestFirst, refuseTaken } from "./model.ts";

const jobOf = ({ jobs }: Store, reference: string): Job => named(jobs.all(), "job", reference);

function createJob({ clock, jobs, project }: Store, body: CreateJob): Job {
  checkTerms({ payload_schema: body.payload_schema ?? null });
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

/** The job that a trigger names, which would take the payloads. */
export function enabledJob(
  store: Store,
  reference: string,
  inputs: readonly TriggerInput[],
  fieldOf: (index: number) => string,
): Job {
  const job = jobOf(store, reference);
  if (!job.enabled) throw disabled("job", job.slug);
  const { payload_schema: schema } = job;
  const issues = inputs.flatMap(({ payload }, index) =>
    schema === null ? [] : payloadIssues(schema, payload, fieldOf(index)),
  );
  const [first, ...others] = issues;
  if (first) throw payloadMismatch([first, ...others]);
  return job;
}

const nameOf = (job: Job, key: string): string => `${job.id} ${key}`;

/** All that are to be triggered at once have to agree with what their keys stand for, or nothing happens. */
function checkKeys({ triggered }: Store, job: Job, inputs: readonly TriggerInput[]): void {
  const asked = new Map<string, TriggerInput>();
  for (const input of inputs) {
    const { idempotency_key: key } = input;
    if (key === null) continue;
    const name = nameOf(job, key);
    const first = triggered.get(name)?.input ?? asked.get(name);
    if (first && !jsonEquals(first, input)) throw idempotencyMismatch(key);
    asked.set(name, input);
  }
}

/** Starts a run, unless its key has one. */
export function runOnce(
  store: Store,
  job: Job,
  input: TriggerInput,
  batch_id: string | null,
): { readonly run: Run; readonly isKnown: boolean } {
  const name = input.idempotency_key === null ? null : nameOf(job, input.idempotency_key);
  const known = store.runs.get(store.triggered.get(name ?? "")?.runId ?? "");
  if (known) return { run: known, isKnown: true };
  const run = createRun(store, { ...input, job, batch_id, triggered_by: "manual" });
  if (name !== null) store.triggered.set(name, { runId: run.id, input });
  return { run, isKnown: false };
}

function triggeredRun({ run, isKnown }: ReturnType<typeof runOnce>, payload_hash: string): TriggeredRun {
  const { id, status } = run;
  return { id, status, payload_hash, run_token: isKnown ? null : tokenOf(run), idempotency_hit: isKnown };
}

export const jobOperations: Modeled = {
  postV1Jobs: (store, { body }) => ({ status: 201, body: createJob(store, body) }),

  getV1Jobs: ({ jobs }, { query }) => ({ status: 200, body: pageOf(newestFirst(jobs.all()), query) }),

  getV1JobsByJobID: (store, { pathParams }) => ({ status: 200, body: jobOf(store, pathParams.jobID) }),

  patchV1JobsByJobID(store, { pathParams, body = {} }) {
    const { clock, jobs } = store;
    const job = jobOf(store, pathParams.jobID);
    checkTerms({ payload_schema: body.payload_schema ?? null });
    if (body.slug !== undefined && body.slug !== job.slug) refuseTaken(jobs.all(), "job", body.slug);
    return {
      status: 200,
      body: jobs.change(job, { ...body, version: job.version + 1, updated_at: clock.timestamp() }),
    };
  },

  deleteV1JobsByJobID(store, { pathParams }) {
    const { id, slug } = jobOf(store, pathParams.jobID);
    const isLive = store.runs.all().some(({ job_id, status }) => job_id === id && !isTerminalRunStatus(status));
    if (isLive) throw hasLiveRuns("job", slug);
    store.jobs.remove(id);
    return { status: 204 };
  },

  async postV1JobsByJobIDTrigger(store, { pathParams, body, idempotencyKey }) {
    const input = triggerInputOf(body, idempotencyKey);
    const job = enabledJob(store, pathParams.jobID, [input], () => "/payload");
    const { payload, scheduled_at } = input;
    const payload_hash = await digestOf(payload);
    if (body?.dry_run) {
      const dryRun = { dry_run: true, job_id: job.id, payload_hash, payload, scheduled_at, expires_at: null } as const;
      return { status: 200, body: dryRun };
    }
    checkKeys(store, job, [input]);
    const run = triggeredRun(runOnce(store, job, input, null), payload_hash);
    return run.idempotency_hit ? { status: 200, body: run, replayed: true } : { status: 201, body: run };
  },

  async postV1JobsByJobIDTriggerBulk(store, { pathParams, body }) {
    const items = await Promise.all(
      body.items.map(async (item) => ({
        input: triggerInputOf(item, item.idempotency_key),
        hash: await digestOf(item.payload ?? null),
      })),
    );
    const inputs = items.map(({ input }) => input);
    const job = enabledJob(store, pathParams.jobID, inputs, (index) => `/items/${index}/payload`);
    checkKeys(store, job, inputs);
    const batch_id = store.clock.newId("batch");
    const results = items.map(({ input, hash }) => triggeredRun(runOnce(store, job, input, batch_id), hash));
    const created = results.filter(({ idempotency_hit }) => !idempotency_hit).length;
    return { status: 201, body: { batch_id, results, total: results.length, created } };
  },
};
