-- Time is the database's. STABLE, so that it is an index condition; one value per statement, so that a comparison and
-- the stamp beside it agree. The test kit replaces the body with one that adds an interval.
CREATE FUNCTION strait_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  AS 'SELECT statement_timestamp()';

-- One row for ever: the life of this database. A restore or a failover writes a new one, and old stream cursors are reset.
CREATE TABLE database_epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch    text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '')
);
INSERT INTO database_epoch DEFAULT VALUES;

CREATE TABLE projects (
  id                     text COLLATE "C" PRIMARY KEY,
  org_id                 text,
  name                   text NOT NULL,
  -- Never leaves the server: the signing secret is derived from the master key, the project and this number.
  signing_version        integer NOT NULL DEFAULT 1,
  default_environment_id text COLLATE "C" NOT NULL,
  created_at             timestamptz NOT NULL DEFAULT strait_now(),
  updated_at             timestamptz NOT NULL DEFAULT strait_now()
);

CREATE TABLE environments (
  project_id text COLLATE "C" NOT NULL REFERENCES projects (id),
  id         text COLLATE "C" NOT NULL,
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, id)
);

CREATE TABLE api_keys (
  project_id       text COLLATE "C" NOT NULL,
  id               text COLLATE "C" NOT NULL,
  environment_id   text COLLATE "C" NOT NULL,
  name             text NOT NULL,
  key_prefix       text NOT NULL,
  key_hash         text NOT NULL, -- SHA-256 of the whole key, hex; never leaves the server
  scopes           text[] NOT NULL,
  expires_at       timestamptz,
  revoked_at       timestamptz,
  grace_expires_at timestamptz,   -- of a rotated key: when it stops working
  last_used_at     timestamptz,
  created_at       timestamptz NOT NULL DEFAULT strait_now(),
  PRIMARY KEY (project_id, id),
  FOREIGN KEY (project_id, environment_id) REFERENCES environments (project_id, id),
  CONSTRAINT has_a_scope CHECK (cardinality(scopes) > 0)
);
-- The one look-up that cannot name its project: the key is what tells the project.
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (key_hash);

-- The answer that a POST gave, for the next one with the same Idempotency-Key.
CREATE TABLE idempotency_keys (
  project_id text COLLATE "C" NOT NULL,
  target     text COLLATE "C" NOT NULL, -- operation and path parameters
  key        text COLLATE "C" NOT NULL,
  body_hash  text NOT NULL,
  status     smallint,                  -- null until the transaction that took the key has its answer
  response   text,
  created_at timestamptz NOT NULL DEFAULT strait_now(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (project_id, target, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
