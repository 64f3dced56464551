-- One row per run that was ever sent to or that has received: the lock that sending and receiving share.
CREATE TABLE run_inboxes (
  project_id    text COLLATE "C" NOT NULL,
  run_id        text COLLATE "C" NOT NULL,
  last_sequence integer NOT NULL DEFAULT 0, -- of the newest message
  waiter_id     text COLLATE "C",           -- the trigger of the latest receive that parked the run, if no message has ended it
  accepts       text[] COLLATE "C",         -- the names that it accepts; null for any
  PRIMARY KEY (project_id, run_id)
) WITH (fillfactor = 70);

CREATE TABLE inbox_messages (
  project_id      text COLLATE "C" NOT NULL,
  run_id          text COLLATE "C" NOT NULL,
  sequence        integer NOT NULL, -- of the run, from 1: counted on the inbox's row
  id              text COLLATE "C" NOT NULL,
  name            text COLLATE "C" NOT NULL,
  payload         text NOT NULL, -- JSON
  disposition     text NOT NULL,
  actor           text NOT NULL,
  idempotency_key text COLLATE "C",
  body_hash       text,          -- of the request that brought the key
  created_at      timestamptz NOT NULL DEFAULT strait_now(),
  received_at     timestamptz,
  PRIMARY KEY (project_id, run_id, sequence),
  CONSTRAINT known_disposition CHECK (disposition IN ('delivered', 'buffered', 'late')),
  CONSTRAINT delivered_is_received CHECK (disposition <> 'delivered' OR received_at IS NOT NULL),
  CONSTRAINT late_is_not_received CHECK (disposition <> 'late' OR received_at IS NULL)
);
CREATE INDEX inbox_messages_unread ON inbox_messages (project_id, run_id, sequence)
  WHERE received_at IS NULL AND disposition <> 'late';
CREATE UNIQUE INDEX inbox_messages_by_key ON inbox_messages (project_id, run_id, name, idempotency_key)
  WHERE idempotency_key IS NOT NULL;

ALTER TABLE event_triggers DROP CONSTRAINT known_type,
  ADD CONSTRAINT known_type CHECK (trigger_type IN ('event', 'sleep', 'inbox'));
