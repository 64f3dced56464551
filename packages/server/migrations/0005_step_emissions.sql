-- What a step sends when it completes. Whatever completes it marks the event as due in the same statement, and a task sends
-- it right after: a send takes the rows of keys, which lie below the run or the wait that ends there.
ALTER TABLE step_runs
  ADD COLUMN event_emit_key text, -- a template; null emits nothing
  ADD COLUMN emit_due boolean,    -- true from the completion until the event is sent, else null
  ADD COLUMN emit_error text;
-- Only columns that never change: a step that emits nothing is updated in place.
CREATE INDEX step_runs_emitting ON step_runs (project_id, id) WHERE emit_due;
