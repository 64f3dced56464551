import { documentHash } from "./bundle.ts";
import { docComment, type GeneratedFile, importTypes, literal, lowerFirst, typescriptFile } from "./emit.ts";
import { examplesFile } from "./examples.ts";
import { schemasFile } from "./json-schemas.ts";
import { type Operation, type Schema, type Spec, SpecError } from "./spec.ts";
import { compact, type DocumentTypes, type OperationTypes, operationTypes } from "./types.ts";

/** Grows when the generators write something else for the same document. */
const GENERATOR_VERSION = 1;

const FOLDER = "packages/contract/src/generated";

/** The files of `@strait/contract`. `types` are those of the document as it is: closed enums in both directions. */
export function contractFiles(spec: Spec, types: DocumentTypes): GeneratedFile[] {
  return [
    typescriptFile(`${FOLDER}/types.ts`, [...types.schemas.values()].join("\n")),
    statusesFile(spec),
    operationsFile(spec, types),
    schemasFile(spec, `${FOLDER}/schemas.ts`),
    examplesFile(spec, `${FOLDER}/examples.ts`),
    indexFile(spec),
    {
      path: `${FOLDER}/SPEC.json`,
      content: `${JSON.stringify({ sha256: documentHash(spec.document), generator: GENERATOR_VERSION }, null, 2)}\n`,
    },
  ];
}

/** The component schemas that list text values, with the name of the constant that lists them at run time. */
function textEnums(spec: Spec): { name: string; list: string; values: readonly string[]; schema: Schema }[] {
  return [...spec.schemas].flatMap(([name, schema]) => {
    const values = schema.enum ?? [];
    const isText = schema.type === "string" && values.length > 0;
    return isText ? [{ name, list: lowerFirst(plural(name)), values: values.map(String), schema }] : [];
  });
}

function plural(name: string): string {
  if (/[^aeiou]y$/.test(name)) return `${name.slice(0, -1)}ies`;
  return /(?:s|x|ch|sh)$/.test(name) ? `${name}es` : `${name}s`;
}

function statusesFile(spec: Spec): GeneratedFile {
  const enums = textEnums(spec);
  const lists = enums.map(
    ({ name, list, values, schema }) =>
      `${docComment(schema.description)}export const ${list} = ${literal(values)} as const satisfies readonly ${name}[];\n`,
  );
  const names = enums.map(({ name }) => name);
  return typescriptFile(`${FOLDER}/statuses.ts`, importTypes(names, "./types.ts"), ...lists, errorStatusSource(spec));
}

function errorStatusSource(spec: Spec): string {
  const codes = spec.schemas.get("ErrorCode");
  const statuses = (codes?.["x-strait-status"] ?? {}) as Readonly<Record<string, number>>;
  const listed = (codes?.enum ?? []).map(String);
  const odd = [
    ...listed.filter((code) => !(code in statuses)).map((code) => `${code} has no status`),
    ...Object.keys(statuses)
      .filter((code) => !listed.includes(code))
      .map((code) => `${code} is not in the enum`),
  ];
  if (odd.length > 0) throw new SpecError([`components.schemas.ErrorCode.x-strait-status: ${odd.join(", ")}`]);
  return `/** The HTTP status of each error code. */
export const errorStatus = ${literal(Object.fromEntries(listed.map((code) => [code, statuses[code]])))} as const satisfies Record<ErrorCode, number>;
`;
}

function operationsFile(spec: Spec, types: DocumentTypes): GeneratedFile {
  const names = new Set<string>();
  const rows: string[] = [];
  const members: string[] = [];
  for (const operation of spec.operations) {
    const rendered = operationTypes(types, operation);
    for (const name of rendered.names) names.add(name);
    rows.push(`  ${operation.id}: ${literal(tableRow(operation), "  ")},\n`);
    members.push(operationMember(operation, rendered));
  }
  return typescriptFile(
    `${FOLDER}/operations.ts`,
    importTypes(names, "./types.ts"),
    OPERATION_INFO,
    `/** Every operation by its id. The ids are derived from method and path. */
export const operations = {
${rows.join("")}} as const satisfies Record<string, OperationInfo>;
`,
    "export type OperationId = keyof typeof operations;\n",
    STREAM_EVENT,
    `/**
 * What each operation takes and answers, under the names of the wire. \`body\` is undefined where the operation takes none
 * or where the caller may leave it out. \`response\` is the success answer: its body, or status and body where there are
 * several, or undefined where it has no body. A stream that has nothing more to send is undefined too (204).
 */
export interface Operations {
${members.join("\n")}}
`,
  );
}

const OPERATION_INFO = `/** One row of the operation table. */
export interface OperationInfo {
  readonly id: string;
  /** In upper case. */
  readonly method: string;
  /** The template of OpenAPI, such as \`/v1/events/{eventKey}/send\`. */
  readonly path: string;
  readonly tag: string;
  /** The credentials that are accepted; empty means that anybody may call. */
  readonly auth: readonly ("bearer" | "runToken" | "internalSecret")[];
  /** The scope that an API key needs; null when scopes do not apply. */
  readonly scope: string | null;
  /** The statuses of success, ascending. */
  readonly success: readonly number[];
  /** How a success answers. */
  readonly media: "json" | "sse" | "none";
  /** Takes an \`Idempotency-Key\`. */
  readonly idempotent: boolean;
  /** Takes \`limit\` and \`cursor\`, answers a page. */
  readonly paginated: boolean;
}
`;

const STREAM_EVENT = `/** One frame of a stream. */
export interface StreamEvent {
  /** \`status\` and \`reset\` carry the whole object, the others nothing of interest; \`end\` is the last. */
  readonly event: "status" | "keepalive" | "reset" | "end";
  /** Where a reader that lost the connection goes on. */
  readonly id?: string;
  /** Any JSON value. */
  readonly data: unknown;
}
`;

function tableRow(operation: Operation): object {
  return {
    id: operation.id,
    method: operation.method,
    path: operation.path,
    tag: operation.tag,
    auth: operation.auth,
    scope: operation.scope,
    success: operation.successes.map(({ status }) => status),
    media: operation.media,
    idempotent: operation.idempotent,
    paginated: operation.paginated,
  };
}

function operationMember(operation: Operation, types: OperationTypes): string {
  const nothing = "Record<string, never>";
  const body = types.body && !operation.body?.required ? `${types.body} | undefined` : (types.body ?? "undefined");
  return `  /** ${operation.method} ${operation.path}: ${operation.summary} */
  ${operation.id}: {
    tag: ${JSON.stringify(operation.tag)};
    path: ${compact(types.path ?? nothing)};
    query: ${compact(types.query ?? nothing)};
    headers: ${compact(types.headers ?? nothing)};
    body: ${compact(body)};
    response: ${responseType(operation, types)};
  };
`;
}

function responseType({ media, successes }: Operation, types: OperationTypes): string {
  if (media === "sse") return `AsyncIterable<StreamEvent>${successes.length > 1 ? " | undefined" : ""}`;
  const [only, ...others] = successes;
  if (only && others.length === 0) return compact(types.answers.get(only.status) ?? "undefined");
  const bodies = successes.map(
    ({ status }) => `{ status: ${status}; body: ${compact(types.answers.get(status) ?? "undefined")} }`,
  );
  return bodies.join(" | ");
}

function indexFile(spec: Spec): GeneratedFile {
  const lists = [...textEnums(spec).map(({ list }) => list), "errorStatus"].sort();
  const exported = (names: readonly string[], from: string, type = "") =>
    `export ${type}{\n${names.map((name) => `  ${name},\n`).join("")}} from "./${from}.ts";\n`;
  return typescriptFile(
    `${FOLDER}/index.ts`,
    [
      `export { examples, type OperationExample } from "./examples.ts";\n`,
      `export {\n  type OperationId,\n  type OperationInfo,\n  type Operations,\n  operations,\n  type StreamEvent,\n} from "./operations.ts";\n`,
      `export { type RequestSchema, requestSchemas, responseSchemas, type SchemaObject, schemas } from "./schemas.ts";\n`,
      exported(lists, "statuses"),
      exported([...spec.schemas.keys()], "types", "type "),
    ].join(""),
  );
}
