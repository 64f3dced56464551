-- When the endpoint failed last: one that nobody calls any more is forgotten.
ALTER TABLE endpoint_circuits ADD COLUMN failed_at timestamptz NOT NULL DEFAULT strait_now();
