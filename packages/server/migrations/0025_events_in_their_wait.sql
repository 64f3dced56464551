-- The event that ends a wait stands in the row of the wait, which is written then anyhow, and is found by its key as the
-- wait is: no row and no index entry of its own. `events` keeps those that end none: buffered, too late, refused, one of
-- several that a group needs; and those that were buffered before.
ALTER TABLE event_triggers
  ADD COLUMN event_id        text COLLATE "C", -- of the event that ended it, where it stands here
  ADD COLUMN channel         text,             -- by which that, or a rejection, came
  ADD COLUMN idempotency_key text;

-- Made from the payload where that is kept.
ALTER TABLE events ALTER COLUMN payload_digest DROP NOT NULL;

-- Every event that was sent, with what became of it.
CREATE VIEW sends AS
  SELECT project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload, payload_digest,
    is_rejection, for_next, issues, actor, channel, idempotency_key, expires_at, created_at
  FROM events
  UNION ALL
  SELECT project_id, event_id, environment_id, event_key, id, generation, 'delivered'::event_disposition, response_payload,
    NULL, false, false, NULL::json, sent_by, channel, idempotency_key, NULL::timestamptz, received_at
  FROM event_triggers WHERE event_id IS NOT NULL;
