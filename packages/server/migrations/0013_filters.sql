-- CEL: which payloads are meant for the wait. Null: every one.
ALTER TABLE event_triggers ADD COLUMN filter text;
