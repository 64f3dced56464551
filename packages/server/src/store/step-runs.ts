import type { StepRun } from "@strait/contract";
import { type StepMove, stepMoves, terminalStepStatuses } from "@strait/core";
import { cutPage, fetchLimit, type Page, type PageRequest, positionOf } from "./page.ts";
import { type Queryable, records, sql } from "./sql.ts";

const columns = sql`
  id, workflow_run_id, step_ref, type, status, attempt, depends_on, job_run_id, event_trigger_id, output::json AS output,
  error, created_at, started_at, finished_at`;

export interface NewStepRun {
  readonly id: string;
  readonly position: number;
  readonly step_ref: string;
  readonly type: string;
  readonly depends_on: readonly string[];
}

/** Writes the steps of a workflow run, all of them pending. */
export async function insert(
  tx: Queryable,
  projectId: string,
  workflowRunId: string,
  steps: readonly NewStepRun[],
  actor: string,
): Promise<void> {
  const rows = steps.map((step) => ({ ...step, depends_on: JSON.stringify(step.depends_on) }));
  await tx.query(sql`
    WITH inserted AS (
      INSERT INTO step_runs (project_id, id, workflow_run_id, position, step_ref, type, depends_on)
      SELECT ${projectId}, id, ${workflowRunId}, position, step_ref, type,
        ARRAY(SELECT json_array_elements_text(depends_on))
      FROM ${records("i", { id: "text", position: "int4", step_ref: "text", type: "text", depends_on: "json" }, rows)}
      RETURNING project_id, id, status, workflow_run_id)
    INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id)
    SELECT project_id, id, 1, 'status', status, ${actor}, workflow_run_id FROM inserted`);
}

export interface StepMoveItem {
  readonly id: string;
  readonly job_run_id?: string | null;
  readonly event_trigger_id?: string | null;
  readonly output?: string | null;
  readonly error?: string | null;
}

const moveTypes = {
  id: "text",
  job_run_id: "text",
  event_trigger_id: "text",
  output: "text",
  error: "text",
} as const satisfies Record<keyof StepMoveItem, string>;

/** Applies `name` to the steps whose status allows it; the ids of those that moved. */
export async function move(
  tx: Queryable,
  projectId: string,
  name: StepMove,
  items: readonly StepMoveItem[],
  actor: string,
): Promise<string[]> {
  const { from, to } = stepMoves[name];
  const rows = await tx.query<{ subject_id: string }>(sql`
    WITH locked AS (
      SELECT s.project_id, s.id, s.status AS before
      FROM ${records<Required<StepMoveItem>>("i", moveTypes, items as Required<StepMoveItem>[])}
      JOIN step_runs s ON s.project_id = ${projectId} AND s.id = i.id
      WHERE s.status = ANY(${from}) ORDER BY s.id FOR NO KEY UPDATE OF s),
    moved AS (
      UPDATE step_runs s SET status = ${to}, change_seq = s.change_seq + 1,
        job_run_id = coalesce(i.job_run_id, s.job_run_id), event_trigger_id = coalesce(i.event_trigger_id, s.event_trigger_id),
        output = coalesce(i.output, s.output), error = coalesce(i.error, s.error),
        started_at = CASE WHEN ${to} IN ('running', 'waiting') THEN strait_now() ELSE s.started_at END,
        finished_at = CASE WHEN ${terminalStepStatuses.includes(to)}::boolean THEN strait_now() END
      FROM locked l, ${records<Required<StepMoveItem>>("i", moveTypes, items as Required<StepMoveItem>[])}
      WHERE s.project_id = l.project_id AND s.id = l.id AND i.id = l.id AND s.status = ANY(${from})
      RETURNING s.*, l.before)
    INSERT INTO changes (project_id, subject_id, sequence, kind, before, after, actor, workflow_run_id, message)
    SELECT project_id, id, change_seq, 'status', before, status, ${actor}, workflow_run_id, error FROM moved
    RETURNING subject_id`);
  return rows.map((row) => row.subject_id);
}

/** All steps of a workflow run, in the order of its definition. */
export function list(db: Queryable, projectId: string, workflowRunId: string): Promise<StepRun[]> {
  return db.query<StepRun>(sql`
    SELECT ${columns} FROM step_runs WHERE project_id = ${projectId} AND workflow_run_id = ${workflowRunId}
    ORDER BY position`);
}

/** A page of the steps, in the order of the definition. */
export async function page(
  db: Queryable,
  projectId: string,
  workflowRunId: string,
  request: PageRequest,
): Promise<Page<StepRun>> {
  const after = positionOf("steps", request, /^\d{1,6}$/);
  const rows = await db.query<StepRun & { position?: number }>(sql`
    SELECT ${columns}, position FROM step_runs
    WHERE project_id = ${projectId} AND workflow_run_id = ${workflowRunId} AND position > ${Number(after ?? -1)}
    ORDER BY position LIMIT ${fetchLimit(request)}`);
  const steps = cutPage("steps", request, rows, (row) => String(row.position));
  for (const row of steps.data) delete row.position;
  return steps;
}
