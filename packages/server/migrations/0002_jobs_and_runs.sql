CREATE TABLE jobs (
  project_id            text COLLATE "C" NOT NULL REFERENCES projects (id),
  id                    text COLLATE "C" NOT NULL,
  environment_id        text COLLATE "C" NOT NULL,
  name                  text NOT NULL,
  slug                  text COLLATE "C" NOT NULL,
  description           text,
  endpoint_url          text NOT NULL,
  fallback_endpoint_url text,
  payload_schema        json,
  tags                  json NOT NULL DEFAULT '{}',
  max_attempts          smallint NOT NULL,
  timeout_secs          integer NOT NULL,
  run_ttl_secs          integer,
  retry_strategy        text NOT NULL,
  retry_delays_secs     integer[] NOT NULL DEFAULT '{}',
  default_run_metadata  json NOT NULL DEFAULT '{}',
  on_worker_lost        text NOT NULL DEFAULT 'retry',
  enabled               boolean NOT NULL DEFAULT true,
  version               integer NOT NULL DEFAULT 1,
  created_at            timestamptz NOT NULL DEFAULT strait_now(),
  updated_at            timestamptz NOT NULL DEFAULT strait_now(),
  deleted_at            timestamptz, -- its runs keep their job; the slug is free again
  PRIMARY KEY (project_id, id),
  CONSTRAINT known_strategy CHECK (retry_strategy IN ('exponential', 'linear', 'fixed', 'custom')),
  CONSTRAINT known_on_worker_lost CHECK (on_worker_lost IN ('retry', 'crash'))
);
CREATE UNIQUE INDEX jobs_by_slug ON jobs (project_id, slug) WHERE deleted_at IS NULL;

-- Updated in place (HOT): room on each page, and no index, not even a partial one's predicate, on what changes while a
-- run lives. `lease_id` is the exception: it changes once per claim from the queue.
CREATE TABLE runs (
  project_id           text COLLATE "C" NOT NULL,
  id                   text COLLATE "C" NOT NULL,
  environment_id       text COLLATE "C" NOT NULL,
  job_id               text COLLATE "C" NOT NULL,
  job_version          integer NOT NULL,
  status               text NOT NULL,
  attempt              smallint NOT NULL DEFAULT 1,
  max_attempts         smallint NOT NULL,
  dispatch_seq         integer NOT NULL DEFAULT 0,
  priority             smallint NOT NULL DEFAULT 0,
  -- Bodies up to 512 bytes stand here; '' means that the text is in run_bodies.
  payload              text NOT NULL,
  result               text,
  checkpoint           text,
  checkpoint_seq       integer NOT NULL DEFAULT 0,
  checkpoint_source    text,
  checkpoint_at        timestamptz,
  progress             json,
  metadata             json NOT NULL DEFAULT '{}',
  tags                 json NOT NULL DEFAULT '{}',
  error                text,
  error_class          text,
  triggered_by         text NOT NULL,
  resume_reason        text,
  batch_id             text COLLATE "C",
  idempotency_key      text COLLATE "C",
  workflow_run_id      text COLLATE "C",
  workflow_step_run_id text COLLATE "C",
  scheduled_at         timestamptz,
  started_at           timestamptz,
  finished_at          timestamptz,
  heartbeat_at         timestamptz,
  next_retry_at        timestamptz,
  expires_at           timestamptz,
  created_at           timestamptz NOT NULL DEFAULT strait_now(),
  -- These never leave the server.
  lease_id             bigint,
  detached             boolean NOT NULL DEFAULT false, -- goes on by itself: watched by run_deadlines, not by its lease
  lost_count           smallint NOT NULL DEFAULT 0,
  snooze_count         smallint NOT NULL DEFAULT 0,
  taken_seq            integer NOT NULL DEFAULT 0,     -- the dispatch whose wait took a buffered event and did not park
  change_seq           integer NOT NULL DEFAULT 1,
  PRIMARY KEY (project_id, id),
  CONSTRAINT known_status CHECK (status IN ('delayed', 'queued', 'dequeued', 'executing', 'waiting', 'completed', 'failed',
    'timed_out', 'crashed', 'system_failed', 'canceled', 'expired', 'dead_letter')),
  CONSTRAINT final_has_end CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'timed_out', 'crashed',
    'system_failed', 'canceled', 'expired', 'dead_letter'))),
  CONSTRAINT executing_is_leased CHECK (status <> 'executing' OR lease_id IS NOT NULL)
) WITH (fillfactor = 65);
-- The job first: behind the project it would be taken for the primary key's equal while a project has one job.
CREATE INDEX runs_by_job ON runs (job_id, project_id, id);
CREATE INDEX runs_by_workflow_run ON runs (project_id, workflow_run_id) WHERE workflow_run_id IS NOT NULL;
CREATE INDEX runs_by_batch ON runs (project_id, batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_by_lease ON runs (lease_id);

-- Insert-only.
CREATE TABLE run_bodies (
  project_id text COLLATE "C" NOT NULL,
  run_id     text COLLATE "C" NOT NULL,
  kind       text NOT NULL CHECK (kind IN ('payload', 'result', 'checkpoint')),
  seq        integer NOT NULL, -- 0 of the payload and the result; checkpoint_seq of a checkpoint
  body       text NOT NULL,
  PRIMARY KEY (project_id, run_id, kind, seq)
);

-- What is ready, and nothing else. An entry is deleted by the claim; one whose run has moved on is dropped there too.
CREATE TABLE run_queue (
  project_id text COLLATE "C" NOT NULL,
  priority   smallint NOT NULL,
  ready_at   timestamptz NOT NULL,
  seq        bigint GENERATED ALWAYS AS IDENTITY,
  run_id     text COLLATE "C" NOT NULL,
  PRIMARY KEY (project_id, priority, ready_at, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);

-- What becomes ready later: delayed runs, and retries that back off.
CREATE TABLE run_schedule (
  due_at     timestamptz NOT NULL,
  project_id text COLLATE "C" NOT NULL,
  run_id     text COLLATE "C" NOT NULL,
  PRIMARY KEY (due_at, project_id, run_id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);

-- What must have happened by then. `dispatch`: a run that goes on by itself; `expire`: a run that must have started.
CREATE TABLE run_deadlines (
  due_at       timestamptz NOT NULL,
  project_id   text COLLATE "C" NOT NULL,
  run_id       text COLLATE "C" NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('dispatch', 'expire')),
  dispatch_seq integer NOT NULL,
  PRIMARY KEY (due_at, project_id, run_id, kind)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);

-- Appended when a wait has ended but its run was locked by somebody else. Never unique: a unique wake row loses a wake-up.
CREATE TABLE run_wakes (
  project_id text COLLATE "C" NOT NULL,
  run_id     text COLLATE "C" NOT NULL,
  seq        bigint GENERATED ALWAYS AS IDENTITY,
  trigger_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (project_id, run_id, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);

CREATE TABLE run_idempotency (
  project_id text COLLATE "C" NOT NULL,
  job_id     text COLLATE "C" NOT NULL,
  key        text COLLATE "C" NOT NULL,
  run_id     text COLLATE "C" NOT NULL,
  body_hash  text NOT NULL,
  expires_at timestamptz, -- null while the run lives; then 24 h after its end
  PRIMARY KEY (project_id, job_id, key)
);
CREATE INDEX run_idempotency_by_expiry ON run_idempotency (expires_at) WHERE expires_at IS NOT NULL;

-- A life of a process. Runs that it executes carry the id; when it is declared dead they are rescued.
CREATE TABLE leases (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  process      text NOT NULL,
  alive        boolean NOT NULL DEFAULT true,
  heartbeat_at timestamptz NOT NULL DEFAULT strait_now(),
  expires_at   timestamptz NOT NULL,
  swept        smallint NOT NULL DEFAULT 0, -- sweeps after death that found nothing; done at 2
  created_at   timestamptz NOT NULL DEFAULT strait_now()
) WITH (fillfactor = 50);

CREATE TABLE endpoint_circuits (
  project_id text COLLATE "C" NOT NULL,
  endpoint   text COLLATE "C" NOT NULL,
  failures   integer NOT NULL DEFAULT 0, -- in a row
  open_until timestamptz,
  PRIMARY KEY (project_id, endpoint)
);

CREATE TABLE run_state (
  project_id text COLLATE "C" NOT NULL,
  run_id     text COLLATE "C" NOT NULL,
  key        text COLLATE "C" NOT NULL,
  value      json NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, run_id, key)
);

CREATE TABLE run_outputs (
  project_id text COLLATE "C" NOT NULL,
  run_id     text COLLATE "C" NOT NULL,
  output_key text COLLATE "C" NOT NULL,
  value      json NOT NULL,
  created_at timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, run_id, output_key)
);
