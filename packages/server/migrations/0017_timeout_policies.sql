-- What a wait resolves to when nobody answers; and what a step does then.
ALTER TABLE event_triggers
  ADD COLUMN timeout_payload text, -- JSON
  DROP CONSTRAINT known_on_timeout,
  ADD CONSTRAINT known_on_timeout CHECK (on_timeout IN ('fail', 'resume', 'resolve', 'skip_dependents', 'continue', 'step')),
  ADD CONSTRAINT resolves_to_something CHECK ((timeout_payload IS NOT NULL) = (on_timeout IS NOT DISTINCT FROM 'resolve'));
ALTER TABLE step_runs ADD COLUMN timed_out boolean NOT NULL DEFAULT false;
