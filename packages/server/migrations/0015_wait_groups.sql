-- A group of waits is a trigger that no key finds. It has the deadline and wakes the run; its members have the keys.
ALTER TABLE event_triggers
  ADD COLUMN group_id     text COLLATE "C", -- of a member: never changes
  ADD COLUMN group_mode   text,             -- of a group
  ADD COLUMN group_needed integer,          -- of a group: how many members must be received
  DROP CONSTRAINT known_type,
  ADD CONSTRAINT known_type CHECK (trigger_type IN ('event', 'sleep', 'inbox', 'group')),
  ADD CONSTRAINT known_group_mode CHECK (group_mode IN ('any', 'all', 'at_least')),
  ADD CONSTRAINT group_is_whole CHECK ((trigger_type = 'group') = (group_mode IS NOT NULL)
    AND (trigger_type = 'group') = (group_needed IS NOT NULL)),
  ADD CONSTRAINT member_has_a_key CHECK (group_id IS NULL OR trigger_type = 'event');
CREATE INDEX event_triggers_of_group ON event_triggers (project_id, group_id, id) WHERE group_id IS NOT NULL;
