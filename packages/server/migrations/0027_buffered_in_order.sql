-- Which of two buffered events is older the time says that was read while their key was held, and not their ids, which
-- processes make whose clocks differ.
DROP INDEX events_buffered;
CREATE INDEX events_buffered ON events (project_id, environment_id, event_key, created_at, id)
  WHERE disposition = 'buffered';
