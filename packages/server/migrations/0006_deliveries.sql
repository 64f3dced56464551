ALTER TABLE webhook_deliveries
  ADD COLUMN run_id        text COLLATE "C", -- the run whose wait it tells of, and its job
  ADD COLUMN job_id        text COLLATE "C",
  -- These never leave the server. A claim holds the delivery until then, so one whose worker was killed is taken again;
  ADD COLUMN claimed_until timestamptz,
  -- its number fences what is written about the attempt;
  ADD COLUMN claim_seq     integer NOT NULL DEFAULT 0,
  -- and the number of the last change: 0 while there was none since the trigger's own, which is what wrote the row.
  ADD COLUMN change_seq    integer NOT NULL DEFAULT 0,
  ADD CONSTRAINT pending_is_due CHECK ((status = 'pending') = (next_retry_at IS NOT NULL)),
  ADD CONSTRAINT only_pending_is_claimed CHECK (claimed_until IS NULL OR status = 'pending'),
  ADD CONSTRAINT delivered_has_time CHECK ((status = 'delivered') = (delivered_at IS NOT NULL));

-- What went wrong is looked for among much that went well.
CREATE INDEX webhook_deliveries_by_status ON webhook_deliveries (project_id, status, id);
CREATE INDEX webhook_deliveries_of_trigger ON webhook_deliveries (project_id, event_trigger_id, id);

-- As encodeURIComponent of JavaScript, for paths in stored bodies.
CREATE FUNCTION strait_encode_uri_component(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT coalesce(string_agg(
    CASE WHEN letter ~ '[A-Za-z0-9_.!~*''()-]' COLLATE "C" THEN letter
      ELSE regexp_replace(upper(encode(convert_to(letter, 'UTF8'), 'hex')), '(..)', '%\1', 'g') END, '' ORDER BY position), '')
  FROM regexp_split_to_table(value, '') WITH ORDINALITY AS letters (letter, position)
$$;
