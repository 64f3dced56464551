import { type Queryable, records, sql } from "./sql.ts";

/** After this many failures in a row a circuit opens, for this long (reference 4.9). */
const FAILURES = 5;
const OPEN_SECS = 60;

export interface Endpoint {
  readonly project_id: string;
  readonly endpoint: string;
}

const endpointTypes = { project_id: "text", endpoint: "text" } as const;

export interface OpenCircuit extends Endpoint {
  /** Milliseconds until a probe may pass; 0 or less means now. Null: it has failed, but is not open. */
  readonly wait_ms: number | null;
}

const reopening = sql`strait_now() + make_interval(secs => ${OPEN_SECS})`;
const waitMs = sql`(extract(epoch FROM open_until - strait_now()) * 1000)::float8 AS wait_ms`;

/** Counts failures of endpoints; the one that crosses the line opens the circuit, and a failed probe opens it again. */
export function recordFailures(db: Queryable, endpoints: readonly Endpoint[]): Promise<OpenCircuit[]> {
  return db.query<OpenCircuit>(sql`
    INSERT INTO endpoint_circuits AS c (project_id, endpoint, failures, open_until, failed_at)
    SELECT project_id, endpoint, count(*), CASE WHEN count(*) >= ${FAILURES} THEN ${reopening} END, strait_now()
    FROM ${records("i", endpointTypes, endpoints)}
    GROUP BY project_id, endpoint ORDER BY project_id, endpoint
    ON CONFLICT (project_id, endpoint) DO UPDATE SET failures = c.failures + excluded.failures, failed_at = excluded.failed_at,
      open_until = CASE WHEN c.failures + excluded.failures >= ${FAILURES} THEN ${reopening} ELSE c.open_until END
    RETURNING project_id, endpoint, ${waitMs}`);
}

/** Closes the circuits of endpoints that answered. */
export async function recordSuccesses(db: Queryable, endpoints: readonly Endpoint[]): Promise<void> {
  await db.query(sql`
    DELETE FROM endpoint_circuits c USING ${records("i", endpointTypes, endpoints)}
    WHERE c.project_id = i.project_id AND c.endpoint = i.endpoint`);
}

/**
 * Forgets endpoints whose last call failed more than a day ago, at most `limit`: nobody calls them any more. Returns how many.
 */
export async function purge(db: Queryable, limit: number): Promise<number> {
  const rows = await db.query(sql`
    DELETE FROM endpoint_circuits WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM endpoint_circuits WHERE failed_at <= strait_now() - interval '1 day'
      LIMIT ${limit} FOR UPDATE SKIP LOCKED))
    RETURNING 1`);
  return rows.length;
}

/** Every endpoint whose last call failed. */
export function listFailing(db: Queryable): Promise<OpenCircuit[]> {
  return db.query<OpenCircuit>(sql`SELECT project_id, endpoint, ${waitMs} FROM endpoint_circuits`);
}

/** Lets one probe through an open circuit whose time is up; false: somebody else is probing. */
export async function takeProbe(db: Queryable, endpoint: Endpoint): Promise<boolean> {
  const rows = await db.query(sql`
    UPDATE endpoint_circuits SET open_until = ${reopening}
    WHERE project_id = ${endpoint.project_id} AND endpoint = ${endpoint.endpoint} AND open_until <= strait_now() RETURNING 1`);
  return rows.length > 0;
}
