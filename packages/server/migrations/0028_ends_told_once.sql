-- Where a run goes on in the statement that ends its wait, one change tells of both: the wait's row says all about its end.
ALTER TABLE changes ADD COLUMN ended_trigger_id text COLLATE "C"; -- the wait that ended with this move, and has no change of its own for that
