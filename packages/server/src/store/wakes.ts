import type { CancellationKind, TriggerStatus } from "@strait/contract";
import { type Queryable, sql } from "./sql.ts";

export interface WakingRun {
  readonly project_id: string;
  readonly run_id: string;
}

/** Runs behind `after` for which a wake row stands. Not tied to a project: whoever has room works them off. */
export function runsToWake(db: Queryable, after: WakingRun | undefined, limit: number): Promise<WakingRun[]> {
  return db.query<WakingRun>(sql`
    SELECT DISTINCT project_id, run_id FROM run_wakes
    WHERE (project_id, run_id) > (${after?.project_id ?? ""}, ${after?.run_id ?? ""})
    ORDER BY project_id, run_id LIMIT ${limit}`);
}

/** Deletes the wake rows of a run, which the caller has locked; returns the triggers that they name. */
export function takeOfRun(tx: Queryable, projectId: string, runId: string): Promise<{ trigger_id: string }[]> {
  return tx.query(
    sql`DELETE FROM run_wakes WHERE project_id = ${projectId} AND run_id = ${runId} RETURNING trigger_id`,
  );
}

/** How a wait ended, as far as the run that waited must know. */
export interface EndedWait {
  readonly id: string;
  readonly event_key: string;
  readonly status: TriggerStatus;
  /** What the run goes on with, as JSON: the payload, or the cancellation. */
  readonly checkpoint: string | null;
  /** Null for one that was not canceled. */
  readonly kind: CancellationKind | null;
  readonly on_timeout: string | null;
  readonly on_cancel: string | null;
  readonly error: string | null;
}

/** Read in a statement after the run is locked (K3). */
export function endedWaits(tx: Queryable, projectId: string, ids: readonly string[]): Promise<EndedWait[]> {
  return tx.query<EndedWait>(sql`
    SELECT id, event_key, status, coalesce(response_payload, cancellation::text) AS checkpoint,
      cancellation->>'kind' AS kind, on_timeout, on_cancel, error
    FROM event_triggers
    WHERE project_id = ${projectId} AND id = ANY(${ids}) AND status <> 'waiting' ORDER BY finished_at, id`);
}

export interface AdvancingRun {
  readonly project_id: string;
  readonly workflow_run_id: string;
}

/** Workflow runs behind `after` of which something has ended. */
export function workflowRunsToAdvance(
  db: Queryable,
  after: AdvancingRun | undefined,
  limit: number,
): Promise<AdvancingRun[]> {
  return db.query<AdvancingRun>(sql`
    SELECT DISTINCT project_id, workflow_run_id FROM workflow_advances
    WHERE (project_id, workflow_run_id) > (${after?.project_id ?? ""}, ${after?.workflow_run_id ?? ""})
    ORDER BY project_id, workflow_run_id LIMIT ${limit}`);
}

/** Asks that somebody looks at the workflow run again, after the commit. */
export async function askToAdvance(tx: Queryable, projectId: string, workflowRunId: string): Promise<void> {
  await tx.query(sql`
    INSERT INTO workflow_advances (project_id, workflow_run_id) VALUES (${projectId}, ${workflowRunId})`);
}

/** Deletes the rows that ask for the workflow run, which the caller has locked. */
export async function takeOfWorkflowRun(tx: Queryable, projectId: string, workflowRunId: string): Promise<void> {
  await tx.query(
    sql`DELETE FROM workflow_advances WHERE project_id = ${projectId} AND workflow_run_id = ${workflowRunId}`,
  );
}
