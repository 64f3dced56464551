import { openDatabase } from "../src/store/database.ts";
import type { Queryable, Statement } from "../src/store/sql.ts";

/** Tables that are read whole, and what keeps them short. */
const WHOLE: ReadonlySet<string> = new Set([
  "endpoint_circuits", // has a row only while an endpoint fails
  "database_epoch", // has one row
  "leases", // has a row per process, and a day's dead ones
  "pg_database", // has a row per database of this PostgreSQL; read while a transaction runs that holds a feed up
]);
/** Tables that are read from one end, up to a limit: what stands there is worked off. */
const FROM_THE_END: ReadonlySet<string> = new Set(["run_wakes", "workflow_advances"]);

/** What EXPLAIN says of a statement, as far as tests look at it. */
export interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly Plans?: readonly Plan[];
}

export const plain = (text: string): Statement => ({ text, values: [] });

/**
 * The plans of statements, as connections of the server make them on this database.
 *
 * @param settings - Others than those of every connection.
 */
export async function plansOf(
  databaseUrl: string,
  statements: readonly string[],
  settings: readonly string[] = [],
): Promise<Map<string, Plan>> {
  const onIdleError = (error: Error) => {
    throw error;
  };
  const db = openDatabase({ url: databaseUrl, maxConnections: 1, onIdleError });
  try {
    return await db.transaction(async (tx) => {
      for (const setting of settings) await tx.query(plain(`SET LOCAL ${setting}`));
      const plans = new Map<string, Plan>();
      for (const text of statements) plans.set(text, await planOf(tx, text));
      return plans;
    });
  } finally {
    await db.close();
  }
}

/** The indexes that a plan reads, from the top down, and what it looks for in each. */
export function lookupsOf(plan: Plan): { readonly index: string; readonly condition: string }[] {
  const { "Index Name": index, "Index Cond": condition = "" } = plan;
  return [...(index === undefined ? [] : [{ index, condition }]), ...(plan.Plans ?? []).flatMap(lookupsOf)];
}

/** The indexes that a plan reads, from the top down. */
export const indexesOf = (plan: Plan): string[] => lookupsOf(plan).map(({ index }) => index);

/** The plan that a connection of the server keeps for a statement: made once, for any values. */
async function planOf(tx: Queryable, text: string): Promise<Plan> {
  await tx.query(plain(`PREPARE hot AS ${text}`));
  const [{ n } = { n: 0 }] = await tx.query<{ n: number }>(
    plain("SELECT cardinality(parameter_types) AS n FROM pg_prepared_statements WHERE name = 'hot'"),
  );
  const values = n === 0 ? "" : `(${Array.from({ length: n }, () => "NULL").join(", ")})`;
  const [row] = await tx.query<{ "QUERY PLAN": [{ Plan: Plan }] }>(plain(`EXPLAIN (FORMAT JSON) EXECUTE hot${values}`));
  await tx.query(plain("DEALLOCATE hot"));
  if (!row) throw new Error("there is no plan");
  return row["QUERY PLAN"][0].Plan;
}

/** Scans that read a table, or an index, from end to end. */
export function wholeScans(plan: Plan, isLimited = false): string[] {
  const { "Node Type": type, "Relation Name": table = "", "Index Name": index = table } = plan;
  const limited = isLimited || type === "Limit";
  const isWhole =
    type === "Seq Scan" || (/^(Bitmap )?Index/.test(type) && plan["Index Cond"] === undefined && !limited);
  const isExpected = WHOLE.has(table) || (FROM_THE_END.has(table) && limited);
  const below = (plan.Plans ?? []).flatMap((child) => wholeScans(child, limited));
  return isWhole && !isExpected ? [`${type} of ${index}`, ...below] : below;
}
