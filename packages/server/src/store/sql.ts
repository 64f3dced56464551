/** A statement with `$1…$n` placeholders and the values that fill them, as node-postgres takes it. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Anything that can run one statement: the pool, or a transaction. */
export interface Queryable {
  query<Row>(statement: Statement): Promise<Row[]>;
}

class SqlStatement implements Statement {
  readonly text: string;
  readonly values: readonly unknown[];

  constructor(text: string, values: readonly unknown[]) {
    this.text = text;
    this.values = values;
  }
}

/** Tags a template as SQL. A value becomes a parameter; a nested `sql` statement is spliced in, renumbered. */
export function sql(strings: TemplateStringsArray, ...parts: readonly unknown[]): Statement {
  const values: unknown[] = [];
  let text = strings[0] ?? "";
  for (const [index, part] of parts.entries()) {
    if (part instanceof SqlStatement) {
      const offset = values.length;
      text += offset === 0 ? part.text : part.text.replace(/\$(\d+)/g, (_, n) => `$${Number(n) + offset}`);
      values.push(...part.values);
    } else {
      values.push(part);
      text += `$${values.length}`;
    }
    text += strings[index + 1];
  }
  return new SqlStatement(text, values);
}

/**
 * Encodes a value for a `json` parameter; `undefined` becomes SQL NULL and `null` the JSON null.
 * Needed because node-postgres would send a JavaScript array as a PostgreSQL array.
 */
export function json(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

type ColumnType = "text" | "int4" | "int8" | "float8" | "bool" | "json" | "timestamptz";

/**
 * A set of rows as a FROM item, `unnest($1::text[], …) AS alias(a, …)`: one array per column, so the text of the statement
 * does not depend on how many rows there are. `alias` and the column names are constants of the code.
 */
export function records<Row extends object>(
  alias: string,
  columns: { readonly [Column in keyof Row & string]: ColumnType },
  rows: readonly Row[],
): Statement {
  const names = Object.keys(columns) as (keyof Row & string)[];
  const arrays = names.map((name, index) => `$${index + 1}::${columns[name]}[]`).join(", ");
  return new SqlStatement(
    `unnest(${arrays}) AS ${alias}(${names.join(", ")})`,
    names.map((name) => rows.map((row) => row[name] ?? null)),
  );
}
