-- What a project may pile up in one place.
ALTER TABLE projects
  ADD COLUMN max_buffered_events_per_key integer NOT NULL DEFAULT 1000
    CHECK (max_buffered_events_per_key BETWEEN 1 AND 100000),
  ADD COLUMN max_unread_messages_per_run integer NOT NULL DEFAULT 1000
    CHECK (max_unread_messages_per_run BETWEEN 1 AND 100000);
-- A member's share of what its group may hold.
ALTER TABLE event_triggers ADD COLUMN max_payload_bytes integer;
-- Waits of runs that no key finds, to be counted.
CREATE INDEX event_triggers_waiting_keyless ON event_triggers (project_id)
  WHERE status = 'waiting' AND trigger_type IN ('inbox', 'group');
