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
 * A statement that is put together when it is first sent: those of one shape have one text, so it is written, hashed and
 * compared once for all of them, and what each of them costs is its values.
 */
class SqlStatement implements Statement {
  readonly strings: readonly string[];
  readonly parts: readonly unknown[];
  readonly shape: string;
  readonly values: readonly unknown[];

  constructor(strings: readonly string[], parts: readonly unknown[], shape: string, values: readonly unknown[]) {
    this.strings = strings;
    this.parts = parts;
    this.shape = shape;
    this.values = values;
  }

  get text(): string {
    let text = texts.get(this.shape);
    if (text === undefined) {
      text = this.#write(0);
      texts.set(this.shape, text);
    }
    return text;
  }

  /** @param before - How many placeholders stand in front of this statement's. */
  #write(before: number): string {
    let text = this.strings[0] ?? "";
    let count = before;
    for (const [index, part] of this.parts.entries()) {
      if (part instanceof SqlStatement) {
        text += part.#write(count);
        count += part.values.length;
      } else text += `$${++count}`;
      text += this.strings[index + 1] ?? "";
    }
    return text;
  }
}

/** By shape. There are as many as the code can put together, which is few. */
const texts = new Map<string, string>();
/** Of each place in the code that tags a template. */
const templateIds = new WeakMap<TemplateStringsArray, string>();
let lastTemplateId = 0;

function idOf(template: TemplateStringsArray): string {
  let id = templateIds.get(template);
  if (id === undefined) {
    id = (++lastTemplateId).toString(36);
    templateIds.set(template, id);
  }
  return id;
}

/** Tags a template as SQL. A value becomes a parameter; a nested `sql` statement is spliced in. */
export function sql(template: TemplateStringsArray, ...parts: readonly unknown[]): Statement {
  let shape = idOf(template);
  const values: unknown[] = [];
  for (const part of parts) {
    if (part instanceof SqlStatement) {
      shape += `(${part.shape})`;
      for (const value of part.values) values.push(value);
    } else {
      shape += ",";
      values.push(part);
    }
  }
  return new SqlStatement(template, parts, shape, values);
}

/**
 * The condition on a value that was asked for; where none was, one that always holds. A filter that is not given is then
 * not in the statement, whose one plan for all values can use the index of each filter that is.
 */
export function ifGiven<Value>(value: Value | undefined, condition: (value: Value) => Statement): Statement {
  return value === undefined ? ALWAYS : condition(value);
}

const ALWAYS = sql`true`;

/** The time of the database, some seconds before now. */
export const ago = (secs: number): Statement => sql`strait_now() - ${secs}::float8 * interval '1 second'`;

/** A time as whole microseconds of the epoch, which a number of JavaScript holds and a Date would cut. */
export const microsOf = (time: Statement): Statement => sql`(extract(epoch FROM ${time}) * 1000000)::int8`;

/** The time that `microsOf` has told. */
export const atMicros = (micros: number): Statement =>
  sql`(timestamptz 'epoch' + ${micros}::float8 * interval '1 microsecond')`;

/** What a statement is left with where a part of it is not needed. */
export const nothing = sql``;

/** A number that stands in the text, where the planner sees it. */
export const constant = (value: number): Statement => new SqlStatement([String(value)], [], String(value), []);

/**
 * Encodes a value for a `json` parameter; `undefined` becomes SQL NULL and `null` the JSON null.
 * Needed because node-postgres would send a JavaScript array as a PostgreSQL array.
 */
export function json(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

type ColumnType = "text" | "int4" | "int8" | "float8" | "bool" | "json" | "timestamptz";
/** A `?` marks a column that few rows have. */
type Column = ColumnType | `${ColumnType}?`;

/**
 * A set of rows as a FROM item, one array parameter per column, so the text of the statement does not depend on how many rows
 * there are. `alias` and the column names are constants of the code.
 *
 * Where no row has any of the columns that few have, these are written into the text as NULL: an array is written, parsed and
 * scanned for each column. Two texts, and not one for each combination: every connection keeps the plan of each.
 */
export function records<Row extends object>(
  alias: string,
  columns: { readonly [Name in keyof Row & string]: Column },
  rows: readonly Row[],
): Statement {
  const names = Object.keys(columns) as (keyof Row & string)[];
  const isRare = (name: keyof Row & string) => columns[name].endsWith("?");
  const isCommon = names.every((name) => !isRare(name) || rows.every((row) => row[name] == null));
  const given = isCommon ? names.filter((name) => !isRare(name)) : names;
  const typeOf = (name: keyof Row & string) => columns[name].replace("?", "");
  const selected = names.map((name) => (given.includes(name) ? name : `NULL::${typeOf(name)} AS ${name}`));
  const strings = [
    `(SELECT ${selected.join(", ")} FROM unnest(`,
    ...given.slice(0, -1).map((name) => `::${typeOf(name)}[], `),
    ...given.slice(-1).map((name) => `::${typeOf(name)}[]) AS given(${given.join(", ")})) AS ${alias}`),
  ];
  const values = given.map((name) => rows.map((row) => row[name] ?? null));
  return new SqlStatement(strings, values, `=${strings.join("")}`, values);
}
