import type { StepRun } from "@strait/contract";
import { type StepMove, stepMoves, terminalStepStatuses } from "@strait/core";
import { cutPage, fetchLimit, type Page, type PageRequest, positionOf } from "./page.ts";
import { type Queryable, records, sql } from "./sql.ts";

const columns = sql`
  id, workflow_run_id, step_ref, type, status, attempt, depends_on, job_run_id, event_trigger_id, output::json AS output,
  error, emit_error, timed_out, cancellation, created_at, started_at, finished_at`;

export interface NewStepRun {
  readonly id: string;
  readonly position: number;
  readonly step_ref: string;
  readonly type: string;
  readonly depends_on: readonly string[];
  /** A template; null emits nothing. */
  readonly event_emit_key: string | null;
}

const newStepTypes = {
  id: "text",
  position: "int4",
  step_ref: "text",
  type: "text",
  depends_on: "json",
  event_emit_key: "text",
} as const satisfies Record<keyof NewStepRun, string>;

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
      INSERT INTO step_runs (project_id, id, workflow_run_id, position, step_ref, type, event_emit_key, depends_on)
      SELECT ${projectId}, id, ${workflowRunId}, position, step_ref, type, event_emit_key,
        ARRAY(SELECT json_array_elements_text(depends_on))
      FROM ${records("i", newStepTypes, rows)}
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
        finished_at = CASE WHEN ${terminalStepStatuses.includes(to)}::boolean THEN strait_now() END,
        emit_due = CASE WHEN ${to} = 'completed' AND s.event_emit_key IS NOT NULL THEN true END
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

/** A completed step whose event is still to be sent. */
export interface EmittingStep {
  readonly project_id: string;
  readonly id: string;
  readonly environment_id: string;
  readonly workflow_id: string;
  readonly workflow_run_id: string;
  readonly step_ref: string;
  readonly event_emit_key: string;
  /** JSON. */
  readonly output: string;
  /** Of the workflow run. */
  readonly payload: unknown;
}

export interface StepKey {
  readonly project_id: string;
  readonly id: string;
}

/**
 * Completed steps of any project whose events are due, oldest first: at most `limit`, and no more than `maxBytes` of
 * outputs unless the first alone has more.
 */
export function emitting(
  db: Queryable,
  limit: number,
  maxBytes: number,
  except: readonly string[],
): Promise<StepKey[]> {
  return db.query<StepKey>(sql`
    WITH due AS (
      SELECT project_id, id, octet_length(output) AS bytes, finished_at FROM step_runs
      WHERE emit_due AND id <> ALL(${except}) ORDER BY finished_at, id LIMIT ${limit}),
    counted AS (SELECT *, sum(bytes) OVER (ORDER BY finished_at, id) AS total FROM due)
    SELECT project_id, id FROM counted WHERE total - bytes <= ${maxBytes} ORDER BY finished_at, id`);
}

/** Locks those of the steps whose events are still due. What another process has at hand is passed over. */
export function lockEmitting(tx: Queryable, steps: readonly StepKey[]): Promise<EmittingStep[]> {
  return tx.query<EmittingStep>(sql`
    WITH due AS (
      SELECT s.project_id, s.id, s.workflow_run_id, s.step_ref, s.event_emit_key, s.output, s.finished_at
      FROM ${records<StepKey>("i", { project_id: "text", id: "text" }, steps)}
      JOIN step_runs s ON s.project_id = i.project_id AND s.id = i.id
      WHERE s.emit_due ORDER BY s.project_id, s.id FOR NO KEY UPDATE OF s SKIP LOCKED)
    SELECT d.project_id, d.id, d.workflow_run_id, d.step_ref, d.event_emit_key, d.output, w.environment_id, w.workflow_id,
      w.payload::json AS payload
    FROM due d JOIN workflow_runs w ON w.project_id = d.project_id AND w.id = d.workflow_run_id
    ORDER BY d.finished_at, d.id`);
}

export interface StepOutput {
  readonly workflow_run_id: string;
  readonly step_ref: string;
  readonly output: unknown;
}

/** What the ended steps of workflow runs have for those behind them, as `outputOf` of the domain tells of one. */
export function outputsOf(
  tx: Queryable,
  workflowRuns: readonly { readonly project_id: string; readonly workflow_run_id: string }[],
): Promise<StepOutput[]> {
  const keys = workflowRuns.map(({ project_id, workflow_run_id }) => ({ project_id, workflow_run_id }));
  return tx.query<StepOutput>(sql`
    SELECT s.workflow_run_id, s.step_ref,
      CASE s.status WHEN 'completed' THEN s.output::json ELSE json_build_object('cancellation', s.cancellation) END AS output
    FROM (SELECT DISTINCT * FROM ${records("i", { project_id: "text", workflow_run_id: "text" }, keys)}) i
    JOIN step_runs s ON s.project_id = i.project_id AND s.workflow_run_id = i.workflow_run_id
    WHERE s.status = 'completed' OR s.cancellation IS NOT NULL`);
}

/** What became of a step's event; null when it was sent, or kept. */
export interface Emission {
  readonly project_id: string;
  readonly id: string;
  readonly emit_error: string | null;
}

/** Takes the marks off steps. What went wrong is told on the step and in the log. */
export async function markEmitted(tx: Queryable, actor: string, emissions: readonly Emission[]): Promise<void> {
  await tx.query(sql`
    WITH emitted AS (
      UPDATE step_runs s SET emit_due = NULL, emit_error = i.emit_error,
        change_seq = s.change_seq + (i.emit_error IS NOT NULL)::int
      FROM ${records("i", { project_id: "text", id: "text", emit_error: "text" }, emissions)}
      WHERE s.project_id = i.project_id AND s.id = i.id AND s.emit_due RETURNING s.*)
    INSERT INTO changes (project_id, subject_id, sequence, kind, actor, workflow_run_id, level, message)
    SELECT project_id, id, change_seq, 'log', ${actor}, workflow_run_id, 'warn', 'the event was not emitted: ' || emit_error
    FROM emitted WHERE emit_error IS NOT NULL`);
}
