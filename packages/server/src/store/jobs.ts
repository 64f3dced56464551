import type { Job } from "@strait/contract";
import { sqlState } from "./database.ts";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { json, type Queryable, sql } from "./sql.ts";

const columns = sql`
  id, project_id, environment_id, name, slug, description, endpoint_url, fallback_endpoint_url, payload_schema, tags,
  max_attempts, timeout_secs, run_ttl_secs, retry_strategy, retry_delays_secs, default_run_metadata, on_worker_lost,
  enabled, version, created_at, updated_at`;

/** What a caller decides about a job. */
export type JobDefinition = Omit<Job, "id" | "project_id" | "environment_id" | "version" | "created_at" | "updated_at">;

/** Undefined: the slug is taken. */
export async function insert(
  db: Queryable,
  job: JobDefinition & Pick<Job, "id" | "project_id" | "environment_id">,
): Promise<Job | undefined> {
  const [row] = await db.query<Job>(sql`
    INSERT INTO jobs (project_id, id, environment_id, name, slug, description, endpoint_url, fallback_endpoint_url,
      payload_schema, tags, max_attempts, timeout_secs, run_ttl_secs, retry_strategy, retry_delays_secs,
      default_run_metadata, on_worker_lost, enabled)
    VALUES (${job.project_id}, ${job.id}, ${job.environment_id}, ${job.name}, ${job.slug}, ${job.description},
      ${job.endpoint_url}, ${job.fallback_endpoint_url}, ${job.payload_schema === null ? null : json(job.payload_schema)},
      ${json(job.tags)}, ${job.max_attempts}, ${job.timeout_secs}, ${job.run_ttl_secs}, ${job.retry_strategy},
      ${job.retry_delays_secs}, ${json(job.default_run_metadata)}, ${job.on_worker_lost}, ${job.enabled})
    ON CONFLICT (project_id, slug) WHERE deleted_at IS NULL DO NOTHING
    RETURNING ${columns}`);
  return row;
}

/** A job by its id or its slug, tried in this order. */
export async function find(db: Queryable, projectId: string, idOrSlug: string): Promise<Job | undefined> {
  const [row] = await db.query<Job>(sql`
    SELECT ${columns} FROM jobs
    WHERE project_id = ${projectId} AND (id = ${idOrSlug} OR slug = ${idOrSlug}) AND deleted_at IS NULL
    ORDER BY id = ${idOrSlug} DESC LIMIT 1`);
  return row;
}

/** A job by its id, also one that was deleted: its runs live on. */
export async function findAny(db: Queryable, projectId: string, id: string): Promise<Job | undefined> {
  const [row] = await db.query<Job>(sql`SELECT ${columns} FROM jobs WHERE project_id = ${projectId} AND id = ${id}`);
  return row;
}

/** Locks the job against other updates, so that none is lost. */
export async function lock(tx: Queryable, projectId: string, idOrSlug: string): Promise<Job | undefined> {
  const found = await find(tx, projectId, idOrSlug);
  if (!found) return undefined;
  const [row] = await tx.query<Job>(sql`
    SELECT ${columns} FROM jobs WHERE project_id = ${projectId} AND id = ${found.id} AND deleted_at IS NULL
    FOR NO KEY UPDATE`);
  return row;
}

export async function list(db: Queryable, projectId: string, page: PageRequest): Promise<Page<Job>> {
  const rows = await db.query<Job>(sql`
    SELECT ${columns} FROM jobs
    WHERE project_id = ${projectId} AND deleted_at IS NULL AND ${olderThan("jobs", page)}
    ORDER BY id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("jobs", page, rows);
}

/** Writes the next version of a job that the caller has locked. Undefined: the slug is taken. */
export async function update(tx: Queryable, job: Job): Promise<Job | undefined> {
  try {
    const [row] = await tx.query<Job>(sql`
      UPDATE jobs SET name = ${job.name}, slug = ${job.slug}, description = ${job.description},
        endpoint_url = ${job.endpoint_url}, fallback_endpoint_url = ${job.fallback_endpoint_url},
        payload_schema = ${job.payload_schema === null ? null : json(job.payload_schema)}, tags = ${json(job.tags)},
        max_attempts = ${job.max_attempts}, timeout_secs = ${job.timeout_secs}, run_ttl_secs = ${job.run_ttl_secs},
        retry_strategy = ${job.retry_strategy}, retry_delays_secs = ${job.retry_delays_secs},
        default_run_metadata = ${json(job.default_run_metadata)}, on_worker_lost = ${job.on_worker_lost},
        enabled = ${job.enabled}, version = version + 1, updated_at = strait_now()
      WHERE project_id = ${job.project_id} AND id = ${job.id} RETURNING ${columns}`);
    return row;
  } catch (error) {
    if (sqlState(error) === "23505") return undefined;
    throw error;
  }
}

export async function remove(tx: Queryable, projectId: string, id: string): Promise<void> {
  await tx.query(sql`
    UPDATE jobs SET deleted_at = strait_now(), enabled = false, updated_at = strait_now()
    WHERE project_id = ${projectId} AND id = ${id}`);
}

/** Which of the references name a job of the project: reference → id. */
export async function resolve(
  db: Queryable,
  projectId: string,
  references: readonly string[],
): Promise<Map<string, string>> {
  const rows = await db.query<{ reference: string; id: string }>(sql`
    SELECT DISTINCT ON (reference) reference, j.id
    FROM unnest(${references}::text[]) AS i(reference)
    JOIN jobs j ON j.project_id = ${projectId} AND (j.id = reference OR j.slug = reference) AND j.deleted_at IS NULL
    ORDER BY reference, j.id = reference DESC`);
  return new Map(rows.map((row) => [row.reference, row.id]));
}
