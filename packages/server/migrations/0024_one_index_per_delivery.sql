-- Nearly all events are delivered, and those are only looked for by key. One index is enough for them: it begins with the
-- key, in which they differ. By id alone others are looked for: what is buffered, recorded for a group, or a dead letter.
ALTER TABLE events DROP CONSTRAINT events_pkey;
ALTER TABLE events ADD PRIMARY KEY (event_key, project_id, environment_id, id);
DROP INDEX events_by_key;
CREATE UNIQUE INDEX events_undelivered ON events (project_id, id) WHERE disposition <> 'delivered';

-- Made last, as 0023 explains: what is buffered is not delivered either, and would be looked for among all by id.
DROP INDEX events_buffered;
CREATE INDEX events_buffered ON events (project_id, environment_id, event_key, id) WHERE disposition = 'buffered';
