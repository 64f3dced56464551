-- What waits for ever, to be counted.
CREATE INDEX event_triggers_without_deadline ON event_triggers (project_id, id) WHERE finished_at IS NULL AND expires_at IS NULL;
-- What was sent to a key, with what became of it.
CREATE INDEX events_by_key ON events (project_id, environment_id, event_key, id);
