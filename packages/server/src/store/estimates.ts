import { type Queryable, sql } from "./sql.ts";

/**
 * Has PostgreSQL look at tables that it has never looked at, once they have some thousand rows. Until then all indexes of a
 * table look equally good to its planner, and a key among 5,000 may be looked for by reading all of them. Autovacuum would
 * come within a minute; a busy first minute is what this is for. Smaller tables are left to it: every connection plans its
 * statements again afterwards, which takes longer than what a wrong index costs there.
 */
export async function learn(db: Queryable): Promise<void> {
  // Without SKIP_LOCKED it would drive away an autovacuum that is at it.
  await db.query(sql`
    DO $$
    DECLARE
      unknown regclass;
    BEGIN
      FOR unknown IN
        SELECT oid FROM pg_class
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relkind = 'r'
          AND reltuples < 0 AND pg_relation_size(oid) >= 1024 * 1024
        ORDER BY oid
      LOOP
        EXECUTE format('ANALYZE (SKIP_LOCKED) %s', unknown);
      END LOOP;
    END $$`);
}
