-- A dead letter is an event that nobody got and whose sender was not told: it expired in the buffer, it broke the schema
-- of the wait that opened, or a step emitted it and the wait refused it.
ALTER TABLE events
  ADD COLUMN issues              json, -- of a rejected one: what its payload breaks
  ADD COLUMN dead_letter_reason  text,
  ADD COLUMN dead_letter_status  text,
  ADD COLUMN dead_lettered_at    timestamptz,
  ADD COLUMN handled_at          timestamptz,
  ADD COLUMN handled_by          text,
  ADD COLUMN retargeted_event_id text COLLATE "C",
  ADD CONSTRAINT known_dead_letter_reason CHECK (dead_letter_reason IN ('expired', 'payload_mismatch', 'conflict', 'late')),
  ADD CONSTRAINT known_dead_letter_status CHECK (dead_letter_status IN ('open', 'retargeted', 'discarded')),
  ADD CONSTRAINT dead_letter_is_whole CHECK ((dead_letter_reason IS NULL) = (dead_letter_status IS NULL)
    AND (dead_letter_reason IS NULL) = (dead_lettered_at IS NULL)),
  ADD CONSTRAINT handled_is_closed CHECK ((handled_at IS NOT NULL) = (dead_letter_status IN ('retargeted', 'discarded')));
CREATE INDEX events_dead ON events (project_id, environment_id, id) WHERE dead_letter_status = 'open';
CREATE INDEX events_expiring ON events (expires_at) WHERE disposition = 'buffered';
