-- Most of the changes in an index are of few projects, and each of another subject. With what differs in front, one
-- comparison of two texts finds a place, and not two: a fifth of what it costs to write a change.
ALTER TABLE changes DROP CONSTRAINT changes_pkey, ADD PRIMARY KEY (subject_id, project_id, sequence);

DROP INDEX changes_of_workflow_run;
CREATE INDEX changes_of_workflow_run ON changes (workflow_run_id, project_id, xid, seq) WHERE workflow_run_id IS NOT NULL;
