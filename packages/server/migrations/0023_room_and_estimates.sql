-- A run that waits and goes on has about four versions before the old ones can go. With this room they fit on its page, in
-- place (HOT), even when all runs of a page go on together.
ALTER TABLE runs SET (fillfactor = 45);

-- Each connection takes numbers in blocks. Readers order by transaction first, and within one the numbers still ascend.
ALTER TABLE changes ALTER COLUMN seq SET CACHE 32;
ALTER TABLE run_queue ALTER COLUMN seq SET CACHE 32;

-- What 0022 wrote anew while it was empty is planned for as if it stayed empty: by reading all of it. After TRUNCATE it
-- counts as unknown, as a new table does. (In the transaction that wrote it anew, TRUNCATE would leave the estimate.) Where
-- there are rows, what was known of the columns is gone.
DO $$
DECLARE
  name text;
  is_empty boolean;
BEGIN
  FOREACH name IN ARRAY ARRAY['runs', 'event_triggers', 'events'] LOOP
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', name);
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', name) INTO is_empty;
    EXECUTE format(CASE WHEN is_empty THEN 'TRUNCATE %I' ELSE 'ANALYZE %I' END, name);
  END LOOP;
END $$;

-- Made last: of indexes that look equally good, as all do before the first ANALYZE, the youngest is taken.
DROP INDEX event_triggers_waiting;
CREATE UNIQUE INDEX event_triggers_waiting ON event_triggers (project_id, environment_id, event_key, slot)
  WHERE status = 'waiting' AND trigger_type = 'event';
