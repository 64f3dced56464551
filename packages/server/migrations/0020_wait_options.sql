-- How long after its deadline a wait still takes an answer, and so when it ends. In UTC, since a sum of a time and seconds depends on no zone.
ALTER TABLE event_triggers
  ADD COLUMN grace_secs integer NOT NULL DEFAULT 0,
  ADD COLUMN closes_at  timestamptz
    GENERATED ALWAYS AS ((expires_at AT TIME ZONE 'UTC' + make_interval(secs => grace_secs)) AT TIME ZONE 'UTC') STORED,
  DROP CONSTRAINT known_on_cancel,
  ADD CONSTRAINT known_on_cancel CHECK (on_cancel IN ('fail', 'resume', 'skip_dependents', 'continue'));
DROP INDEX event_triggers_due;
CREATE INDEX event_triggers_due ON event_triggers (closes_at) WHERE status = 'waiting' AND closes_at IS NOT NULL;

-- Who ended the wait of a step without an answer, and why.
ALTER TABLE step_runs ADD COLUMN cancellation json;
