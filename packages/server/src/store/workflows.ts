import type { Workflow, WorkflowStep } from "@strait/contract";
import { sqlState } from "./database.ts";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { json, type Queryable, sql } from "./sql.ts";

const columns = sql`
  w.id, w.project_id, w.environment_id, w.name, w.slug, w.description, w.tags, w.enabled, w.version, v.steps, w.created_at,
  w.updated_at`;
const current = sql`
  workflows w JOIN workflow_versions v ON v.project_id = w.project_id AND v.workflow_id = w.id AND v.version = w.version`;

export type WorkflowDefinition = Pick<Workflow, "name" | "slug" | "description" | "tags" | "enabled" | "steps">;

/** Undefined: the slug is taken. */
export async function insert(
  tx: Queryable,
  workflow: WorkflowDefinition & Pick<Workflow, "id" | "project_id" | "environment_id">,
): Promise<Workflow | undefined> {
  const inserted = await tx.query(sql`
    INSERT INTO workflows (project_id, id, environment_id, name, slug, description, tags, enabled)
    VALUES (${workflow.project_id}, ${workflow.id}, ${workflow.environment_id}, ${workflow.name}, ${workflow.slug},
      ${workflow.description}, ${json(workflow.tags)}, ${workflow.enabled})
    ON CONFLICT (project_id, slug) WHERE deleted_at IS NULL DO NOTHING RETURNING 1`);
  if (inserted.length === 0) return undefined;
  await insertVersion(tx, workflow.project_id, workflow.id, 1, workflow.steps);
  return find(tx, workflow.project_id, workflow.id);
}

async function insertVersion(
  tx: Queryable,
  projectId: string,
  workflowId: string,
  version: number,
  steps: readonly WorkflowStep[],
): Promise<void> {
  await tx.query(sql`
    INSERT INTO workflow_versions (project_id, workflow_id, version, steps)
    VALUES (${projectId}, ${workflowId}, ${version}, ${json(steps)})`);
}

/** A workflow by its id or its slug, tried in this order. */
export async function find(db: Queryable, projectId: string, idOrSlug: string): Promise<Workflow | undefined> {
  const [row] = await db.query<Workflow>(sql`
    SELECT ${columns} FROM ${current}
    WHERE w.project_id = ${projectId} AND (w.id = ${idOrSlug} OR w.slug = ${idOrSlug}) AND w.deleted_at IS NULL
    ORDER BY w.id = ${idOrSlug} DESC LIMIT 1`);
  return row;
}

/** Locks the workflow against other updates, so that none is lost and versions count up by one. */
export async function lock(tx: Queryable, projectId: string, idOrSlug: string): Promise<Workflow | undefined> {
  const [locked] = await tx.query<{ id: string }>(sql`
    SELECT id FROM workflows
    WHERE project_id = ${projectId} AND (id = ${idOrSlug} OR slug = ${idOrSlug}) AND deleted_at IS NULL
    ORDER BY id = ${idOrSlug} DESC LIMIT 1 FOR NO KEY UPDATE`);
  return locked && find(tx, projectId, locked.id);
}

export async function list(db: Queryable, projectId: string, page: PageRequest): Promise<Page<Workflow>> {
  const rows = await db.query<Workflow>(sql`
    SELECT l.* FROM (SELECT ${columns} FROM ${current} WHERE w.project_id = ${projectId} AND w.deleted_at IS NULL) l
    WHERE ${olderThan("workflows", page)} ORDER BY id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("workflows", page, rows);
}

/** Writes the next version of a workflow that the caller has locked. Undefined: the slug is taken. */
export async function update(tx: Queryable, workflow: Workflow): Promise<Workflow | undefined> {
  try {
    await tx.query(sql`
      UPDATE workflows SET name = ${workflow.name}, slug = ${workflow.slug}, description = ${workflow.description},
        tags = ${json(workflow.tags)}, enabled = ${workflow.enabled}, version = version + 1, updated_at = strait_now()
      WHERE project_id = ${workflow.project_id} AND id = ${workflow.id}`);
  } catch (error) {
    if (sqlState(error) === "23505") return undefined;
    throw error;
  }
  await insertVersion(tx, workflow.project_id, workflow.id, workflow.version + 1, workflow.steps);
  return find(tx, workflow.project_id, workflow.id);
}

export async function remove(tx: Queryable, projectId: string, id: string): Promise<void> {
  await tx.query(sql`
    UPDATE workflows SET deleted_at = strait_now(), enabled = false, updated_at = strait_now()
    WHERE project_id = ${projectId} AND id = ${id}`);
}

/** The steps that a run has pinned. */
export async function stepsOf(
  db: Queryable,
  projectId: string,
  workflowId: string,
  version: number,
): Promise<WorkflowStep[]> {
  const [row] = await db.query<{ steps: WorkflowStep[] }>(sql`
    SELECT steps FROM workflow_versions
    WHERE project_id = ${projectId} AND workflow_id = ${workflowId} AND version = ${version}`);
  if (!row) throw new Error(`workflow ${workflowId} has no version ${version}`);
  return row.steps;
}
