ALTER TABLE projects
  ADD COLUMN max_active_event_triggers integer CHECK (max_active_event_triggers > 0); -- null: as many as they like
