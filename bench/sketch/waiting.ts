// The tables and the statement that the bar of a prefix was made with: triggers and runs alone, in the database alone.

export const SCHEMA = `
  CREATE TABLE runs (
    id bigint PRIMARY KEY, project_id uuid NOT NULL, status text NOT NULL, run_at timestamptz, payload jsonb,
    checkpoint jsonb, finished_at timestamptz) WITH (fillfactor=80);
  CREATE TABLE triggers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project_id uuid NOT NULL, event_key text COLLATE "C" NOT NULL,
    status text NOT NULL DEFAULT 'waiting', run_id bigint NOT NULL, payload jsonb, timeout_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), received_at timestamptz);`;

/** Made when the tables are full. */
export const INDEXES = `
  CREATE UNIQUE INDEX triggers_key ON triggers (project_id, event_key) WHERE status='waiting';
  CREATE INDEX triggers_due ON triggers (timeout_at) WHERE status='waiting';
  CREATE INDEX runs_queue ON runs (run_at, id) WHERE status='queued';`;

/** Project, beginning of the keys, how many, and how many there are before them. */
export const FILL = `
  WITH r AS (
    INSERT INTO runs (id, project_id, status, payload)
    SELECT i, $1::uuid, 'waiting', jsonb_build_object('user', 'u-123', 'note', repeat('x', 100))
    FROM generate_series($4::int + 1, $4::int + $3::int) AS i RETURNING id)
  INSERT INTO triggers (project_id, event_key, run_id, timeout_at)
  SELECT $1::uuid, $2 || 'item-' || (id - $4::int), id, now() + interval '1 day' + id * interval '1 s' FROM r`;

/** All that wait under a prefix, in one statement: project, pattern, payload. */
export const SEND_PREFIX = `
  WITH c AS MATERIALIZED (
    SELECT id FROM triggers WHERE project_id=$1 AND event_key LIKE $2 AND status='waiting' FOR UPDATE SKIP LOCKED),
  t AS (
    UPDATE triggers SET status='received', payload=$3::jsonb, received_at=now() FROM c WHERE triggers.id=c.id
    RETURNING triggers.run_id),
  r AS (
    UPDATE runs SET status='queued', checkpoint=$3::jsonb, run_at=now() FROM t WHERE runs.id=t.run_id RETURNING 1)
  SELECT count(*) FROM r`;
