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

/**
 * Encodes a value for a `json` parameter; `undefined` becomes SQL NULL and `null` the JSON null.
 * Needed because node-postgres would send a JavaScript array as a PostgreSQL array.
 */
export function json(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

type ColumnType = "text" | "int4" | "int8" | "float8" | "bool" | "json" | "timestamptz";

/**
 * A set of rows as a FROM item, one array parameter per column, so the text of the statement does not depend on how many rows
 * there are. A column that is null in all of them is written into the text instead: of wide rows few members are given, and
 * an array is written, parsed and scanned. `alias` and the column names are constants of the code.
 */
export function records<Row extends object>(
  alias: string,
  columns: { readonly [Column in keyof Row & string]: ColumnType },
  rows: readonly Row[],
): Statement {
  const given: string[] = [];
  const values: unknown[][] = [];
  for (const name in columns) {
    const column = rows.map((row) => row[name as keyof Row] ?? null);
    // At least one array, which says how many rows there are.
    if (values.length > 0 && column.every((value) => value === null)) continue;
    given.push(name);
    values.push(column);
  }
  const { strings, shape } = fromItem(alias, columns, given);
  return new SqlStatement(strings, values, shape, values);
}

interface FromItem {
  readonly strings: readonly string[];
  readonly shape: string;
}

/** By their columns, then by alias and given columns. There are as many as `texts` has of them. */
const fromItems = new WeakMap<object, Map<string, FromItem>>();

function fromItem(
  alias: string,
  columns: Readonly<Record<string, ColumnType | undefined>>,
  given: readonly string[],
): FromItem {
  let known = fromItems.get(columns);
  if (known === undefined) {
    known = new Map();
    fromItems.set(columns, known);
  }
  const key = `${alias} ${given}`;
  let item = known.get(key);
  if (item === undefined) {
    const selected = Object.entries(columns).map(([name, type]) =>
      given.includes(name) ? name : `NULL::${type} AS ${name}`,
    );
    const casts = given.map((name) => `::${columns[name]}[]`);
    const strings = [
      `(SELECT ${selected.join(", ")} FROM unnest(`,
      ...casts.slice(0, -1).map((cast) => `${cast}, `),
      `${casts.at(-1)}) AS given(${given.join(", ")})) AS ${alias}`,
    ];
    item = { strings, shape: `=${strings.join("")}` };
    known.set(key, item);
  }
  return item;
}
