-- The values of one column are a domain: PostgreSQL keeps a domain's check ready in every connection and looks at what is
-- written, where a table's checks are read and made ready by every statement and all looked at for every row.
CREATE DOMAIN run_status AS text CONSTRAINT known_run_status CHECK (VALUE IN ('delayed', 'queued', 'dequeued', 'executing',
  'waiting', 'completed', 'failed', 'timed_out', 'crashed', 'system_failed', 'canceled', 'expired', 'dead_letter'));
ALTER TABLE runs DROP CONSTRAINT known_status, ALTER COLUMN status TYPE run_status;

CREATE DOMAIN event_trigger_status AS text CONSTRAINT known_event_trigger_status
  CHECK (VALUE IN ('waiting', 'received', 'timed_out', 'canceled', 'superseded'));
CREATE DOMAIN event_source AS text CONSTRAINT known_event_source CHECK (VALUE IN ('workflow_step', 'job_run'));
CREATE DOMAIN event_trigger_type AS text CONSTRAINT known_event_trigger_type
  CHECK (VALUE IN ('event', 'sleep', 'inbox', 'group'));
CREATE DOMAIN timeout_policy AS text CONSTRAINT known_timeout_policy
  CHECK (VALUE IN ('fail', 'resume', 'resolve', 'skip_dependents', 'continue', 'step'));
CREATE DOMAIN cancel_policy AS text CONSTRAINT known_cancel_policy
  CHECK (VALUE IN ('fail', 'resume', 'skip_dependents', 'continue'));
CREATE DOMAIN notify_status AS text CONSTRAINT known_notify_status CHECK (VALUE IN ('pending', 'sent', 'failed'));
CREATE DOMAIN wait_group_mode AS text CONSTRAINT known_wait_group_mode CHECK (VALUE IN ('any', 'all', 'at_least'));
ALTER TABLE event_triggers
  DROP CONSTRAINT known_status,
  DROP CONSTRAINT known_source,
  DROP CONSTRAINT known_type,
  DROP CONSTRAINT known_on_timeout,
  DROP CONSTRAINT known_on_cancel,
  DROP CONSTRAINT known_notify_status,
  DROP CONSTRAINT known_group_mode,
  ALTER COLUMN status TYPE event_trigger_status,
  ALTER COLUMN source_type TYPE event_source,
  ALTER COLUMN trigger_type TYPE event_trigger_type,
  ALTER COLUMN on_timeout TYPE timeout_policy,
  ALTER COLUMN on_cancel TYPE cancel_policy,
  ALTER COLUMN notify_status TYPE notify_status,
  ALTER COLUMN group_mode TYPE wait_group_mode;

CREATE DOMAIN event_disposition AS text CONSTRAINT known_event_disposition CHECK (VALUE IN ('delivered', 'recorded',
  'buffered', 'duplicate', 'conflict', 'late', 'rejected', 'expired'));
CREATE DOMAIN dead_letter_reason AS text CONSTRAINT known_dead_letter_reason
  CHECK (VALUE IN ('expired', 'payload_mismatch', 'conflict', 'late'));
CREATE DOMAIN dead_letter_status AS text CONSTRAINT known_dead_letter_status
  CHECK (VALUE IN ('open', 'retargeted', 'discarded'));
ALTER TABLE events
  DROP CONSTRAINT known_disposition,
  DROP CONSTRAINT known_dead_letter_reason,
  DROP CONSTRAINT known_dead_letter_status,
  ALTER COLUMN disposition TYPE event_disposition,
  ALTER COLUMN dead_letter_reason TYPE dead_letter_reason,
  ALTER COLUMN dead_letter_status TYPE dead_letter_status;
