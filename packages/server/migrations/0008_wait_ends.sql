-- How a wait was ended without a payload, and how many deadlines it has had.
ALTER TABLE event_triggers
  ADD COLUMN cancellation json,
  ADD COLUMN version integer NOT NULL DEFAULT 1,
  ADD CONSTRAINT only_canceled_has_cancellation CHECK (cancellation IS NULL OR status IN ('canceled', 'superseded'));

-- A rejection is a send whose payload is the cancellation.
ALTER TABLE events ADD COLUMN is_rejection boolean NOT NULL DEFAULT false;
