import type { WorkflowRun, WorkflowRunStatus } from "@strait/contract";
import { terminalWorkflowRunStatuses, type WorkflowRunMove, workflowRunMoves } from "@strait/core";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { ifGiven, json, type Queryable, sql } from "./sql.ts";

const columns = sql`
  id, project_id, environment_id, workflow_id, workflow_version, status, payload::json AS payload, tags, error, triggered_by,
  created_at, started_at, finished_at`;

export async function insert(
  tx: Queryable,
  run: Pick<
    WorkflowRun,
    "id" | "project_id" | "environment_id" | "workflow_id" | "workflow_version" | "triggered_by"
  > & {
    readonly payload: string;
    readonly tags: Record<string, string>;
  },
  actor: string,
): Promise<void> {
  await tx.query(sql`
    WITH inserted AS (
      INSERT INTO workflow_runs (project_id, id, environment_id, workflow_id, workflow_version, payload, tags, triggered_by)
      VALUES (${run.project_id}, ${run.id}, ${run.environment_id}, ${run.workflow_id}, ${run.workflow_version},
        ${run.payload}, ${json(run.tags)}, ${run.triggered_by})
      RETURNING project_id, id, status)
    INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id)
    SELECT project_id, id, 1, 'status', status, ${actor}, id FROM inserted`);
}

/** Applies `name` if the status allows it; false means that it did not. */
export async function move(
  tx: Queryable,
  projectId: string,
  id: string,
  name: WorkflowRunMove,
  actor: string,
  error: string | null = null,
): Promise<boolean> {
  const { from, to } = workflowRunMoves[name];
  const isTerminal = terminalWorkflowRunStatuses.includes(to);
  const rows = await tx.query(sql`
    WITH locked AS (
      SELECT project_id, id, status AS before FROM workflow_runs
      WHERE project_id = ${projectId} AND id = ${id} AND status = ANY(${from}) FOR NO KEY UPDATE),
    moved AS (
      UPDATE workflow_runs w SET status = ${to}, change_seq = w.change_seq + 1, error = coalesce(${error}, w.error),
        started_at = CASE WHEN ${name} = 'start' THEN strait_now() ELSE w.started_at END,
        finished_at = CASE WHEN ${isTerminal}::boolean THEN strait_now() END
      FROM locked l WHERE w.project_id = l.project_id AND w.id = l.id AND w.status = ANY(${from})
      RETURNING w.*, l.before)
    INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, message)
    SELECT project_id, id, change_seq, 'status', before, status, ${actor}, id, error FROM moved RETURNING 1`);
  return rows.length > 0;
}

/**
 * Locks a workflow run until the transaction ends. Undefined: there is none, or, with `tryOnly`, somebody holds it.
 */
export async function lock(
  tx: Queryable,
  projectId: string,
  id: string,
): Promise<{ status: WorkflowRunStatus } | undefined> {
  const [row] = await tx.query<{ status: WorkflowRunStatus }>(sql`
    SELECT status FROM workflow_runs WHERE project_id = ${projectId} AND id = ${id} FOR NO KEY UPDATE`);
  return row;
}

export async function find(db: Queryable, projectId: string, id: string): Promise<WorkflowRun | undefined> {
  const [row] = await db.query<WorkflowRun>(sql`
    SELECT ${columns} FROM workflow_runs WHERE project_id = ${projectId} AND id = ${id}`);
  return row;
}

export async function list(
  db: Queryable,
  projectId: string,
  filter: { readonly status?: string | undefined; readonly workflow_id?: string | undefined },
  page: PageRequest,
): Promise<Page<WorkflowRun>> {
  const rows = await db.query<WorkflowRun>(sql`
    SELECT ${columns} FROM workflow_runs
    WHERE project_id = ${projectId} AND ${olderThan("workflow-runs", page)}
      AND ${ifGiven(filter.status, (status) => sql`status = ${status}`)}
      AND ${ifGiven(filter.workflow_id, (id) => sql`workflow_id = ${id}`)}
    ORDER BY id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("workflow-runs", page, rows);
}

/** Whether a run of the workflow has not ended. */
export async function hasLive(db: Queryable, projectId: string, workflowId: string): Promise<boolean> {
  const rows = await db.query(sql`
    SELECT 1 FROM workflow_runs WHERE project_id = ${projectId} AND workflow_id = ${workflowId}
      AND NOT status = ANY(${terminalWorkflowRunStatuses}) LIMIT 1`);
  return rows.length > 0;
}
