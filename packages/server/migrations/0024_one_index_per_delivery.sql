-- Nearly all events are delivered, and those are only looked for by key. One index is enough for them: it begins with the
-- key, in which they differ. By id alone others are looked for: what is buffered, recorded for a group, or a dead letter.
ALTER TABLE events DROP CONSTRAINT events_pkey;
ALTER TABLE events ADD PRIMARY KEY (event_key, project_id, environment_id, id);
DROP INDEX events_by_key;
CREATE UNIQUE INDEX events_undelivered ON events (project_id, id) WHERE disposition <> 'delivered';
