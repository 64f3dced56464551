-- One row per key that was ever waited on or sent to: the lock that opening, buffering and replacing share.
CREATE TABLE event_keys (
  project_id        text COLLATE "C" NOT NULL,
  environment_id    text COLLATE "C" NOT NULL,
  event_key         text COLLATE "C" NOT NULL,
  generation        integer NOT NULL DEFAULT 0, -- of the latest trigger; 0 while there was none
  latest_trigger_id text COLLATE "C",
  updated_at        timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, environment_id, event_key)
);

CREATE TABLE event_triggers (
  project_id           text COLLATE "C" NOT NULL,
  id                   text COLLATE "C" NOT NULL,
  environment_id       text COLLATE "C" NOT NULL,
  event_key            text COLLATE "C" NOT NULL,
  generation           integer NOT NULL,
  slot                 text COLLATE "C" NOT NULL DEFAULT '', -- '' of an exclusive wait, else the trigger's id; never leaves the server
  source_type          text NOT NULL,
  trigger_type         text NOT NULL,
  workflow_run_id      text COLLATE "C",
  workflow_step_run_id text COLLATE "C",
  job_run_id           text COLLATE "C",
  status               text NOT NULL DEFAULT 'waiting',
  request_payload      json,
  response_payload     text, -- JSON, never parsed in between
  payload_schema       json, -- pinned when the wait opens; checked at send
  timeout_secs         integer,
  requested_at         timestamptz NOT NULL DEFAULT strait_now(),
  received_at          timestamptz,
  finished_at          timestamptz,
  expires_at           timestamptz,
  error                text,
  notify_url           text,
  notify_status        text,
  sent_by              text,
  on_timeout           text,
  on_cancel            text,
  tags                 json NOT NULL DEFAULT '{}',
  change_seq           integer NOT NULL DEFAULT 1, -- never leaves the server by itself: the stream's ids
  PRIMARY KEY (project_id, id),
  CONSTRAINT known_status CHECK (status IN ('waiting', 'received', 'timed_out', 'canceled', 'superseded')),
  CONSTRAINT received_has_time CHECK ((status = 'received') = (received_at IS NOT NULL)),
  CONSTRAINT final_has_end CHECK ((status = 'waiting') = (finished_at IS NULL)),
  CONSTRAINT known_source CHECK (source_type IN ('workflow_step', 'job_run')),
  CONSTRAINT known_type CHECK (trigger_type IN ('event', 'sleep')),
  CONSTRAINT known_on_timeout CHECK (on_timeout IN ('fail', 'resume')),
  CONSTRAINT known_on_cancel CHECK (on_cancel IN ('fail', 'resume')),
  CONSTRAINT known_notify_status CHECK (notify_status IN ('pending', 'sent', 'failed')),
  CONSTRAINT has_an_owner CHECK ((source_type = 'job_run') = (job_run_id IS NOT NULL)
    AND (source_type = 'workflow_step') = (workflow_run_id IS NOT NULL AND workflow_step_run_id IS NOT NULL))
);
-- Serves equality, prefix and pages of what waits, and the uniqueness of an exclusive wait. Sleeps are not addressed by key.
CREATE UNIQUE INDEX event_triggers_waiting ON event_triggers (project_id, environment_id, event_key, slot)
  WHERE status = 'waiting' AND trigger_type = 'event';
CREATE INDEX event_triggers_due ON event_triggers (expires_at) WHERE status = 'waiting' AND expires_at IS NOT NULL;
CREATE INDEX event_triggers_of_run ON event_triggers (project_id, job_run_id)
  WHERE status = 'waiting' AND job_run_id IS NOT NULL;
CREATE INDEX event_triggers_of_workflow_run ON event_triggers (project_id, workflow_run_id) WHERE workflow_run_id IS NOT NULL;

-- One row per send, with what became of it.
CREATE TABLE events (
  project_id      text COLLATE "C" NOT NULL,
  id              text COLLATE "C" NOT NULL,
  environment_id  text COLLATE "C" NOT NULL,
  event_key       text COLLATE "C" NOT NULL,
  trigger_id      text COLLATE "C", -- the trigger that it met, if any
  generation      integer,
  disposition     text NOT NULL,
  payload         text NOT NULL,    -- JSON
  payload_digest  text NOT NULL,    -- SHA-256 of the canonical payload, hex
  actor           text NOT NULL,
  channel         text NOT NULL,
  idempotency_key text,
  for_next        boolean NOT NULL DEFAULT false,
  expires_at      timestamptz,      -- of a buffered event
  created_at      timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, id),
  CONSTRAINT known_disposition CHECK (disposition IN ('delivered', 'recorded', 'buffered', 'duplicate', 'conflict', 'late',
    'rejected', 'expired')),
  CONSTRAINT buffered_expires CHECK (disposition <> 'buffered' OR expires_at IS NOT NULL)
);
CREATE INDEX events_buffered ON events (project_id, environment_id, event_key, id) WHERE disposition = 'buffered';

CREATE TABLE webhook_deliveries (
  project_id       text COLLATE "C" NOT NULL,
  id               text COLLATE "C" NOT NULL,
  event_trigger_id text COLLATE "C",
  event_type       text NOT NULL,
  webhook_url      text NOT NULL,
  status           text NOT NULL DEFAULT 'pending',
  attempts         smallint NOT NULL DEFAULT 0,
  max_attempts     smallint NOT NULL DEFAULT 5,
  payload          text NOT NULL, -- the bytes that every attempt sends
  last_status_code smallint,
  last_error       text,
  next_retry_at    timestamptz,
  delivered_at     timestamptz,
  created_at       timestamptz NOT NULL DEFAULT strait_now(),
  updated_at       timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, id),
  CONSTRAINT known_status CHECK (status IN ('pending', 'delivered', 'failed', 'dead'))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_retry_at) WHERE status = 'pending';

-- One row per move: stream, feed, run log and webhook source at once.
CREATE TABLE changes (
  project_id      text COLLATE "C" NOT NULL,
  subject_id      text COLLATE "C" NOT NULL,
  sequence        integer NOT NULL, -- of the subject, from 1, without holes: counted on the subject's row
  kind            text NOT NULL,    -- 'status', or what a run reports: log, progress, annotation, checkpoint, output, state
  before          text,
  after           text,
  actor           text NOT NULL,
  workflow_run_id text COLLATE "C",
  level           text NOT NULL DEFAULT 'info',
  message         text,
  data            json,
  created_at      timestamptz NOT NULL DEFAULT strait_now(),
  xid             xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq             bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (project_id, subject_id, sequence)
);
-- Identity columns are not ordered by commit: a feed is read by (xid, seq), below the oldest running transaction.
CREATE INDEX changes_of_workflow_run ON changes (project_id, workflow_run_id, xid, seq) WHERE workflow_run_id IS NOT NULL;
