-- Whether a wait shares its key with every other that says so too. The slot says whether it does share it.
ALTER TABLE event_triggers ADD COLUMN broadcast boolean NOT NULL DEFAULT false;
