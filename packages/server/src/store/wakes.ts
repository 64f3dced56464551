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

/**
 * Deletes the wake rows of a run that waits, in a statement after the one that locked it (K3), and tells how its wait ended.
 * A wait and its wake row are committed together, so in one snapshot either the run still has a wait that waits, or the row
 * of the one that has ended is here, and no wait of the run ended later. Whatever else a row names says nothing.
 */
export async function takeOfRun(tx: Queryable, projectId: string, runId: string): Promise<EndedWait | undefined> {
  const [ended] = await tx.query<EndedWait>(sql`
    WITH taken AS (
      DELETE FROM run_wakes WHERE project_id = ${projectId} AND run_id = ${runId} RETURNING trigger_id)
    SELECT t.id, t.event_key, t.status, coalesce(t.response_payload, t.cancellation::text) AS checkpoint,
      t.cancellation->>'kind' AS kind, t.on_timeout, t.on_cancel, t.error
    FROM event_triggers t
    WHERE t.project_id = ${projectId} AND t.id = ANY(ARRAY(SELECT trigger_id FROM taken)) AND t.job_run_id = ${runId}
      AND t.group_id IS NULL AND t.status <> 'waiting'
      AND NOT EXISTS (SELECT FROM event_triggers w WHERE w.project_id = ${projectId} AND w.job_run_id = ${runId}
        AND w.group_id IS NULL AND w.status = 'waiting')
    ORDER BY t.finished_at DESC, t.id DESC LIMIT 1`);
  return ended;
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
