// The sketch's whole database. Every statement takes arrays: one item is an array of one.

/** All of the sketch's data belongs to one project. */
export const PROJECT_ID = "00000000-0000-4000-8000-000000000001";

export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project_id uuid NOT NULL, endpoint text NOT NULL,
    status text NOT NULL DEFAULT 'queued', attempt smallint NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(), created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz, finished_at timestamptz, payload jsonb, result jsonb, checkpoint jsonb
  ) WITH (fillfactor=60);
  CREATE TABLE IF NOT EXISTS q (run_id bigint NOT NULL, run_at timestamptz NOT NULL DEFAULT now())
    WITH (autovacuum_vacuum_scale_factor=0.01, autovacuum_vacuum_threshold=2000);
  CREATE INDEX IF NOT EXISTS q_next ON q (run_at, run_id);
  CREATE TABLE IF NOT EXISTS triggers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project_id uuid NOT NULL, event_key text COLLATE "C" NOT NULL,
    status text NOT NULL DEFAULT 'waiting', run_id bigint NOT NULL, payload jsonb, timeout_at timestamptz,
    received_at timestamptz);
  CREATE UNIQUE INDEX IF NOT EXISTS triggers_key ON triggers (project_id, event_key) WHERE status='waiting';`;

export const INSERT_QUEUED = `
  WITH r AS (
    INSERT INTO runs (project_id, endpoint, payload)
    SELECT p, e, d::jsonb FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t(p,e,d) RETURNING id, run_at),
  x AS (INSERT INTO q SELECT id, run_at FROM r)
  SELECT id FROM r`;

export const INSERT_STARTED = `
  INSERT INTO runs (project_id, endpoint, payload, status, attempt, started_at)
  SELECT p, e, d::jsonb, 'executing', 1, now() FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t(p,e,d) RETURNING id`;

export const FINISH = `
  UPDATE runs SET status='completed', finished_at=now(), result=u.d::jsonb
  FROM unnest($1::bigint[], $2::text[]) AS u(id,d) WHERE runs.id=u.id AND status='executing'`;

export const PARK = `
  WITH u AS (SELECT * FROM unnest($1::bigint[], $2::text[]) AS u(id,k)),
  r AS (UPDATE runs SET status='waiting' FROM u WHERE runs.id=u.id AND status='executing' RETURNING runs.id)
  INSERT INTO triggers (project_id, event_key, run_id, timeout_at)
  SELECT '${PROJECT_ID}', u.k, u.id, now() + interval '1 day' FROM u JOIN r ON r.id=u.id`;

const RECEIVE = `
  WITH u AS (SELECT * FROM unnest($1::text[], $2::text[]) AS u(k,d)),
  t AS (
    UPDATE triggers SET status='received', payload=u.d::jsonb, received_at=now() FROM u
    WHERE project_id='${PROJECT_ID}' AND event_key=u.k AND status='waiting' RETURNING run_id, payload)`;

export const SEND_QUEUED = `${RECEIVE},
  r AS (UPDATE runs SET status='queued', checkpoint=t.payload FROM t WHERE runs.id=t.run_id RETURNING runs.id),
  x AS (INSERT INTO q SELECT id FROM r)
  SELECT 1 FROM r`;

export const SEND_STARTED = `${RECEIVE}
  UPDATE runs SET status='executing', attempt=attempt+1, checkpoint=t.payload FROM t WHERE runs.id=t.run_id
  RETURNING runs.id, endpoint, runs.payload::text AS payload, checkpoint::text AS checkpoint, attempt`;

export const DEQUEUE = `
  WITH n AS (
    SELECT ctid FROM q WHERE run_at <= now() AND run_at >= $2
    ORDER BY run_at, run_id LIMIT $1::int FOR UPDATE SKIP LOCKED),
  l AS (DELETE FROM q USING n WHERE q.ctid=n.ctid RETURNING q.run_id, q.run_at)
  UPDATE runs r SET status='executing', started_at=now(), attempt=attempt+1 FROM l WHERE r.id=l.run_id
  RETURNING r.id, r.endpoint, r.payload::text AS payload, r.checkpoint::text AS checkpoint, r.attempt, l.run_at`;
