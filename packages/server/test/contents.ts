import { type Queryable, sql } from "../src/store/sql.ts";

/** Rows that tell of no change: a process renews its lease, and a key that was shown was used. */
const NOT_COMPARED = { leases: ["heartbeat_at", "expires_at"], api_keys: ["last_used_at"] };

/** A refusal tells that nothing has changed. */
const BUT_REFUSALS = "WHERE action <> 'operation.refuse'";

/** The number of rows of each table, and a digest of what they hold: equal before and after, nothing has changed. */
export async function contentsOf(db: Queryable): Promise<Record<string, string>> {
  const tables = await db.query<{ name: string }>(sql`
    SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename`);
  const text = tables.map(({ name }) => {
    const ignored = NOT_COMPARED[name as keyof typeof NOT_COMPARED] ?? [];
    return `SELECT '${name}' AS name, count(*) || ' ' || coalesce(md5(string_agg(row, ' ' ORDER BY row)), '') AS contents
      FROM (SELECT (to_jsonb(t) - '{${ignored.join(",")}}'::text[])::text AS row
        FROM ${name} t ${name === "audit_events" ? BUT_REFUSALS : ""}) AS rows`;
  });
  const rows = await db.query<{ name: string; contents: string }>({ text: text.join(" UNION ALL "), values: [] });
  return Object.fromEntries(rows.map(({ name, contents }) => [name, contents]));
}
