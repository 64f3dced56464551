import { type Queryable, sql } from "./sql.ts";

/** Opens a life of this process. It is alive until its heartbeat is missed for `durationMs`. */
export async function open(db: Queryable, process: string, durationMs: number): Promise<number> {
  const [lease] = await db.query<{ id: number }>(sql`
    INSERT INTO leases (process, expires_at)
    VALUES (${process}, strait_now() + make_interval(secs => ${durationMs / 1000}::float8)) RETURNING id`);
  if (!lease) throw new Error("a lease was not opened");
  return lease.id;
}

export interface Heartbeat {
  /** False: somebody has declared this life dead, so it must end. */
  readonly alive: boolean;
  /** Whether another process lives on this database. */
  readonly has_peers: boolean;
}

export async function beat(db: Queryable, ids: readonly number[], durationMs: number): Promise<Heartbeat> {
  const [heartbeat] = await db.query<Heartbeat>(sql`
    WITH mine AS (
      UPDATE leases SET heartbeat_at = strait_now(),
        expires_at = strait_now() + make_interval(secs => ${durationMs / 1000}::float8)
      WHERE id = ANY(${ids}) AND alive RETURNING id)
    SELECT (SELECT count(*) FROM mine) = ${ids.length} AS alive,
      EXISTS (SELECT FROM leases WHERE alive AND NOT id = ANY(${ids})) AS has_peers`);
  return heartbeat ?? { alive: false, has_peers: false };
}

/**
 * Declares dead whose heartbeat is overdue. FOR UPDATE conflicts with the key share of every claiming transaction, so a
 * claim either commits before the verdict and is found by the sweep, or sees that its lease is dead.
 */
export function bury(db: Queryable): Promise<{ id: number }[]> {
  return db.query(sql`
    WITH overdue AS (SELECT id FROM leases WHERE alive AND expires_at <= strait_now() ORDER BY id FOR UPDATE SKIP LOCKED)
    UPDATE leases l SET alive = false FROM overdue o WHERE l.id = o.id RETURNING l.id`);
}

/** Ends a life in good order: nothing is left on it. */
export async function close(db: Queryable, ids: readonly number[]): Promise<void> {
  // As in `bury`: a claim under way either commits before, or sees that its lease is closed.
  await db.query(sql`
    WITH mine AS (SELECT id FROM leases WHERE id = ANY(${ids}) ORDER BY id FOR UPDATE)
    UPDATE leases l SET alive = false FROM mine m WHERE l.id = m.id`);
}

/** Dead lives that may still hold runs: until two sweeps in a row have found nothing. */
export function toSweep(db: Queryable, limit: number): Promise<{ id: number }[]> {
  return db.query(sql`SELECT id FROM leases WHERE NOT alive AND swept < 2 ORDER BY id LIMIT ${limit}`);
}

export async function swept(db: Queryable, id: number, found: boolean): Promise<void> {
  await db.query(sql`UPDATE leases SET swept = CASE WHEN ${found} THEN 0 ELSE swept + 1 END WHERE id = ${id}`);
}

export interface LostRun {
  readonly project_id: string;
  readonly id: string;
  readonly dispatch_seq: number;
  readonly lost_count: number;
  readonly on_worker_lost: string;
}

/** Runs that execute on a lease and are not watched by a deadline of their own. */
export function runsOf(db: Queryable, leaseId: number, limit: number): Promise<LostRun[]> {
  return db.query<LostRun>(sql`
    SELECT r.project_id, r.id, r.dispatch_seq, r.lost_count, j.on_worker_lost
    FROM runs r JOIN jobs j ON j.project_id = r.project_id AND j.id = r.job_id
    WHERE r.lease_id = ${leaseId} AND r.status IN ('dequeued', 'executing') AND NOT r.detached
    ORDER BY r.project_id, r.id LIMIT ${limit}`);
}

/** Deletes lives that ended more than a day ago and hold nothing any more, at most `limit`; returns how many. */
export async function purge(db: Queryable, limit: number): Promise<number> {
  const rows = await db.query(sql`
    DELETE FROM leases WHERE id = ANY(ARRAY(
      SELECT id FROM leases WHERE NOT alive AND swept >= 2 AND heartbeat_at < strait_now() - interval '1 day'
      ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED)) RETURNING 1`);
  return rows.length;
}
