-- One index for each filter of a list, in the order of its pages. They cost an entry when a row is written; what changes in
-- place (the status of runs and of workflow runs) has none.
CREATE INDEX event_triggers_by_status ON event_triggers (project_id, status, id);
CREATE INDEX event_triggers_by_key ON event_triggers (project_id, event_key, id);
CREATE INDEX event_triggers_by_deadline ON event_triggers (project_id, expires_at, id)
  WHERE finished_at IS NULL AND expires_at IS NOT NULL; -- what waits, in other words than those of event_triggers_due
DROP INDEX event_triggers_of_workflow_run;
CREATE INDEX event_triggers_of_workflow_run ON event_triggers (project_id, workflow_run_id, id) WHERE workflow_run_id IS NOT NULL;
DROP INDEX runs_by_workflow_run;
CREATE INDEX runs_by_workflow_run ON runs (project_id, workflow_run_id, id) WHERE workflow_run_id IS NOT NULL;
DROP INDEX runs_by_batch;
CREATE INDEX runs_by_batch ON runs (project_id, batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX projects_by_age ON projects (created_at, id);
