import type { CreateJob, ErrorIssue, Job, UpdateJob } from "@strait/contract";
import { hasLiveRuns, slugTaken } from "../domain/conflicts.ts";
import { JOB_DEFAULTS } from "../domain/defaults.ts";
import { notFound, validationError } from "../domain/errors.ts";
import * as jobs from "../store/jobs.ts";
import * as runs from "../store/runs.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";
import { endpointIssue } from "./endpoint-rules.ts";
import { schemasOf } from "./payload-schema.ts";

/** @throws {StraitError} `conflict` when the slug is taken; `validation_error`, also for a foreign project. */
export async function createJob(
  context: Context,
  caller: Caller,
  { project_id, environment_id, ...input }: CreateJob,
): Promise<Job> {
  const { db, clock, allowPrivateEndpoints } = context;
  checkOwner(caller, project_id, environment_id);
  const definition: jobs.JobDefinition = {
    ...JOB_DEFAULTS,
    ...defined(input),
    name: input.name,
    slug: input.slug,
    endpoint_url: input.endpoint_url,
  };
  checkDefinition(caller.projectId, definition, allowPrivateEndpoints);
  return db.transaction(async (tx) => {
    const job = await jobs.insert(tx, {
      ...definition,
      id: clock.newId("job"),
      project_id: caller.projectId,
      environment_id: caller.environmentId,
    });
    if (!job) throw slugTaken("job", definition.slug);
    await audit(context, tx, caller, "job.create", [job.id], { slug: job.slug });
    return job;
  });
}

/** Writes the next version of a job. @throws {StraitError} `not_found`; `conflict`; `validation_error`. */
export async function updateJob(context: Context, caller: Caller, reference: string, changes: UpdateJob): Promise<Job> {
  const { db, jobs: cache, allowPrivateEndpoints } = context;
  return db.transaction(async (tx) => {
    const current = await jobs.lock(tx, caller.projectId, reference);
    if (!current) throw notFound("job", reference);
    const next: Job = { ...current, ...defined(changes) };
    checkDefinition(caller.projectId, next, allowPrivateEndpoints);
    const updated = await jobs.update(tx, next);
    if (!updated) throw slugTaken("job", next.slug);
    await audit(context, tx, caller, "job.update", [updated.id], {
      slug: updated.slug,
      version: updated.version,
      changed: Object.keys(changes),
    });
    tx.afterCommit(() => cache.forget());
    return updated;
  });
}

/** @throws {StraitError} `not_found`; `conflict` while a run has not ended. */
export async function deleteJob(context: Context, caller: Caller, reference: string): Promise<void> {
  const { db, jobs: cache } = context;
  await db.transaction(async (tx) => {
    const job = await jobs.lock(tx, caller.projectId, reference);
    if (!job) throw notFound("job", reference);
    if (await runs.hasLive(tx, caller.projectId, job.id)) throw hasLiveRuns("job", job.slug);
    await jobs.remove(tx, caller.projectId, job.id);
    await audit(context, tx, caller, "job.delete", [job.id], { slug: job.slug });
    tx.afterCommit(() => cache.forget());
  });
}

const FIX_OWNER = "leave it out: the credentials tell it; for another one use its own credentials";

/** A body may name the project and environment; they must be the caller's, since the credentials are what decides. */
export function checkOwner(caller: Caller, projectId: string | undefined, environmentId: string | undefined): void {
  if (projectId !== undefined && projectId !== caller.projectId) {
    throw validationError([{ field: "/project_id", rule: "ownProject", fix: FIX_OWNER }]);
  }
  if (environmentId !== undefined && environmentId !== caller.environmentId) {
    throw validationError([{ field: "/environment_id", rule: "ownEnvironment", fix: FIX_OWNER }]);
  }
}

function checkDefinition(projectId: string, job: jobs.JobDefinition, allowPrivate: boolean): void {
  const issues: ErrorIssue[] = [];
  const urls = { endpoint_url: job.endpoint_url, fallback_endpoint_url: job.fallback_endpoint_url };
  for (const [name, url] of Object.entries(urls)) {
    const issue = url === null ? undefined : endpointIssue(`/${name}`, url, allowPrivate);
    if (issue) issues.push(issue);
  }
  const schemaProblem =
    job.payload_schema === null ? undefined : schemasOf(projectId).schemaIssue(job.payload_schema, "/payload_schema");
  if (schemaProblem) issues.push(schemaProblem);
  if (job.retry_strategy === "custom" && job.retry_delays_secs.length === 0) {
    issues.push({
      field: "/retry_delays_secs",
      rule: "required",
      fix: 'add the delays in seconds, or choose another retry_strategy than "custom"',
    });
  }
  const [first, ...rest] = issues;
  if (first) throw validationError([first, ...rest]);
}

/** Without the fields that are absent. */
function defined<Fields extends object>(fields: Fields): { [Name in keyof Fields]: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
