-- Who did what: written in the transaction of the act. One index for each filter of the list, in the order of its pages.
CREATE TABLE audit_events (
  project_id       text COLLATE "C" NOT NULL,
  id               text COLLATE "C" NOT NULL,
  actor_kind       text NOT NULL,
  actor_id         text COLLATE "C",
  authenticated_by text,
  channel          text NOT NULL,
  action           text NOT NULL,
  resource_type    text NOT NULL,
  resource_id      text COLLATE "C" NOT NULL,
  request_id       text,
  details          json NOT NULL DEFAULT '{}',
  created_at       timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, id)
);
CREATE INDEX audit_events_by_actor_kind ON audit_events (project_id, actor_kind, id);
CREATE INDEX audit_events_by_actor ON audit_events (project_id, actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_by_action ON audit_events (project_id, action, id);
CREATE INDEX audit_events_by_resource_type ON audit_events (project_id, resource_type, id);
CREATE INDEX audit_events_by_resource ON audit_events (project_id, resource_id, id);

CREATE FUNCTION strait_refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a row of % is never changed', TG_TABLE_NAME;
END $$;
CREATE TRIGGER audit_events_are_final BEFORE UPDATE ON audit_events
  FOR EACH STATEMENT EXECUTE FUNCTION strait_refuse_update();
