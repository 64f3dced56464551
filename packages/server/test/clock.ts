import type { Queryable } from "../src/store/sql.ts";
import { sql } from "../src/store/sql.ts";

/**
 * Moves the database's time: `strait_now()` from now on adds `ms` to what it added before. Leases move along, since no
 * time has passed for the processes that hold them.
 */
export async function advanceClock(db: Queryable, ms: number): Promise<void> {
  const [row] = await db.query<{ ms: number }>(sql`
    SELECT (extract(epoch FROM strait_now() - statement_timestamp()) * 1000)::float8 AS ms`);
  const total = Math.round((row?.ms ?? 0) + ms);
  await db.query({
    text: `DO $$ BEGIN
      EXECUTE 'CREATE OR REPLACE FUNCTION strait_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
        AS ''SELECT statement_timestamp() + interval ''''${total} milliseconds''''''';
      UPDATE leases SET expires_at = expires_at + interval '${ms} milliseconds', heartbeat_at = heartbeat_at + interval '${ms} milliseconds';
    END $$`,
    values: [],
  });
}
