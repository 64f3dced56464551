/** A statement with `$1…$n` placeholders and the values that fill them, as node-postgres takes it. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Anything that can run one statement: the pool, or a transaction. */
export interface Queryable {
  query<Row>(statement: Statement): Promise<Row[]>;
}

/**
 * A statement in pieces: `strings[n]` stands before `values[n]`, and one more string at the end. The text with its
 * placeholders is put together once, when it is sent, however deeply statements were nested.
 */
class SqlStatement implements Statement {
  readonly strings: readonly string[];
  readonly values: readonly unknown[];

  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.strings = strings;
    this.values = values;
  }

  get text(): string {
    let text = this.strings[0] ?? "";
    for (let index = 1; index < this.strings.length; index++) text += `$${index}${this.strings[index]}`;
    return text;
  }
}

/** Tags a template as SQL. A value becomes a parameter; a nested `sql` statement is spliced in. */
export function sql(template: TemplateStringsArray, ...parts: readonly unknown[]): Statement {
  const strings: string[] = [];
  const values: unknown[] = [];
  let piece = template[0] ?? "";
  for (const [index, part] of parts.entries()) {
    const behind = template[index + 1] ?? "";
    if (part instanceof SqlStatement) {
      const [first = "", ...rest] = part.strings;
      piece += first;
      for (const [nested, next] of rest.entries()) {
        strings.push(piece);
        values.push(part.values[nested]);
        piece = next;
      }
      piece += behind;
    } else {
      strings.push(piece);
      values.push(part);
      piece = behind;
    }
  }
  strings.push(piece);
  return new SqlStatement(strings, values);
}

/**
 * The condition on a value that was asked for; where none was, one that always holds. A filter that is not given is then
 * not in the statement, whose one plan for all values can use the index of each filter that is.
 */
export function ifGiven<Value>(value: Value | undefined, condition: (value: Value) => Statement): Statement {
  return value === undefined ? ALWAYS : condition(value);
}

const ALWAYS = sql`true`;

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
  const casts = names.map((name, index) => `::${columns[name]}[]${index === names.length - 1 ? "" : ", "}`);
  return new SqlStatement(
    ["unnest(", ...casts.slice(0, -1), `${casts.at(-1)}) AS ${alias}(${names.join(", ")})`],
    names.map((name) => rows.map((row) => row[name] ?? null)),
  );
}
