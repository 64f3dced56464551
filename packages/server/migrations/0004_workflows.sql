CREATE TABLE workflows (
  project_id     text COLLATE "C" NOT NULL REFERENCES projects (id),
  id             text COLLATE "C" NOT NULL,
  environment_id text COLLATE "C" NOT NULL,
  name           text NOT NULL,
  slug           text COLLATE "C" NOT NULL,
  description    text,
  tags           json NOT NULL DEFAULT '{}',
  enabled        boolean NOT NULL DEFAULT true,
  version        integer NOT NULL DEFAULT 1,
  created_at     timestamptz NOT NULL DEFAULT strait_now(),
  updated_at     timestamptz NOT NULL DEFAULT strait_now(),
  deleted_at     timestamptz,
  PRIMARY KEY (project_id, id)
);
CREATE UNIQUE INDEX workflows_by_slug ON workflows (project_id, slug) WHERE deleted_at IS NULL;

-- Immutable. A run pins its version.
CREATE TABLE workflow_versions (
  project_id  text COLLATE "C" NOT NULL,
  workflow_id text COLLATE "C" NOT NULL,
  version     integer NOT NULL,
  steps       json NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, workflow_id, version),
  FOREIGN KEY (project_id, workflow_id) REFERENCES workflows (project_id, id)
);

CREATE TABLE workflow_runs (
  project_id       text COLLATE "C" NOT NULL,
  id               text COLLATE "C" NOT NULL,
  environment_id   text COLLATE "C" NOT NULL,
  workflow_id      text COLLATE "C" NOT NULL,
  workflow_version integer NOT NULL,
  status           text NOT NULL DEFAULT 'pending',
  payload          text NOT NULL, -- JSON
  tags             json NOT NULL DEFAULT '{}',
  error            text,
  triggered_by     text NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT strait_now(),
  started_at       timestamptz,
  finished_at      timestamptz,
  change_seq       integer NOT NULL DEFAULT 1,
  PRIMARY KEY (project_id, id),
  CONSTRAINT known_status CHECK (status IN ('pending', 'running', 'paused', 'completed', 'failed', 'timed_out', 'canceled')),
  CONSTRAINT final_has_end CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'timed_out', 'canceled')))
) WITH (fillfactor = 70);
CREATE INDEX workflow_runs_by_workflow ON workflow_runs (project_id, workflow_id, id);

CREATE TABLE step_runs (
  project_id       text COLLATE "C" NOT NULL,
  id               text COLLATE "C" NOT NULL,
  workflow_run_id  text COLLATE "C" NOT NULL,
  position         integer NOT NULL, -- in the definition; never leaves the server
  step_ref         text COLLATE "C" NOT NULL,
  type             text NOT NULL,
  status           text NOT NULL DEFAULT 'pending',
  attempt          smallint NOT NULL DEFAULT 1,
  depends_on       text[] NOT NULL DEFAULT '{}',
  job_run_id       text COLLATE "C",
  event_trigger_id text COLLATE "C",
  output           text, -- JSON
  error            text,
  created_at       timestamptz NOT NULL DEFAULT strait_now(),
  started_at       timestamptz,
  finished_at      timestamptz,
  change_seq       integer NOT NULL DEFAULT 1,
  PRIMARY KEY (project_id, id),
  CONSTRAINT known_status CHECK (status IN ('pending', 'waiting', 'running', 'completed', 'failed', 'skipped', 'canceled')),
  CONSTRAINT final_has_end CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'skipped', 'canceled')))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX step_runs_of_workflow_run ON step_runs (project_id, workflow_run_id, step_ref);

-- Appended by whatever ends a step; whoever holds the workflow run works off all of them. Never unique.
CREATE TABLE workflow_advances (
  project_id      text COLLATE "C" NOT NULL,
  workflow_run_id text COLLATE "C" NOT NULL,
  seq             bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (project_id, workflow_run_id, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
