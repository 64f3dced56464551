import { byName, docComment, type GeneratedFile, importTypes, typescriptFile, upperFirst } from "./emit.ts";
import { pathsFile } from "./paths.ts";
import { queryOptionsFile } from "./query-options.ts";
import { CREDENTIALS, type OpenApiDocument, type Operation, type Schema, type Spec } from "./spec.ts";
import { needsInput, needsQuery, type Surface, surfaceInterfaces } from "./surfaces.ts";
import { type DocumentTypes, nested, type OperationTypes, operationTypes } from "./types.ts";
import { zodFile } from "./zod.ts";

const FOLDER = "packages/ts/src/generated";

/** The generated files of `@strait/ts`, from the document with open enums in answers and its types. */
export function clientFiles(spec: Spec, document: OpenApiDocument, types: DocumentTypes): GeneratedFile[] {
  return [
    tableFile(spec),
    typescriptFile(`${FOLDER}/types.ts`, [...types.schemas.values()].join("\n")),
    typescriptFile(`${FOLDER}/openapi.ts`, types.schemas.get("JsonValue") ?? "", types.openapi),
    clientTypesFile(spec, types),
    pathsFile(spec, types, `${FOLDER}/paths.ts`),
    opsFile(spec),
    queryOptionsFile(spec, `${FOLDER}/query-options.ts`),
    zodFile(spec, document, types, `${FOLDER}/schemas.ts`),
  ];
}

/** A line of the operation table: method, path and flags, as `readOperation` of the client takes it. */
function tableLine(operation: Operation): string {
  const { method, path, media, paginated } = operation;
  return `${method} ${path} ${authBits(operation) | (media === "sse" ? 8 : 0) | (paginated ? 16 : 0)}`;
}

function authBits({ auth }: Operation): number {
  return CREDENTIALS.reduce((sum, credential, index) => (auth.includes(credential) ? sum | (1 << index) : sum), 0);
}

function tableFile(spec: Spec): GeneratedFile {
  // By path, so that a compressor finds each line to be like the one before.
  const lines = spec.operations.toSorted((left, right) => byName(left.path, right.path)).map(tableLine);
  return typescriptFile(
    `${FOLDER}/operations.ts`,
    `/**
 * Every operation: method, path and flags, which are 1 bearer, 2 run token, 4 internal secret (none: anybody may call),
 * 8 answers a stream, 16 answers pages.
 */
export const operationTable = \`${lines.join("\n")}\`;
`,
  );
}

/** Each operation as a constant of its own, so that a bundler keeps only those that a program uses. */
function opsFile({ operations }: Spec): GeneratedFile {
  const callable = operations.filter(({ media }) => media !== "sse");
  const names = callable.map(({ id }) => upperFirst(id)).flatMap((name) => [`${name}Input`, `${name}Result`]);
  const constants = callable.map((operation) => {
    const { id, method, path, auth, summary } = operation;
    const name = upperFirst(id);
    const type = auth.length === 0 ? "AuthType" : auth.map((credential) => JSON.stringify(credential)).join(" | ");
    const optional = needsInput(operation) ? "" : "?";
    return `${docComment(/[.?!]$/.test(summary) ? summary : `${summary}.`)}export const ${id}: (
  connection: Connection<${type}>,
  input${optional}: ${name}Input,
) => Promise<${name}Result> = /* @__PURE__ */ standalone("${id}", "${method}", "${path}", ${authBits(operation)});
`;
  });
  return typescriptFile(
    `${FOLDER}/ops.ts`,
    `import { type AuthType, type Connection, standalone } from "../runtime.ts";
${importTypes(names, "./client-types.ts")}`,
    ...constants,
  );
}

function clientTypesFile(spec: Spec, types: DocumentTypes): GeneratedFile {
  const names = new Set<string>(["ErrorResponse"]);
  const results = new Map<string, string>();
  const own: string[] = [];
  for (const operation of spec.operations) {
    const rendered = operationTypes(types, operation);
    for (const name of rendered.names) names.add(name);
    own.push(inputType(operation, rendered));
    if (operation.media === "sse") {
      own.push(eventType(operation, names));
    } else {
      const result = resultOf(operation, rendered);
      results.set(operation.id, result);
      own.push(resultType(operation, result), errorType(operation));
    }
  }
  return typescriptFile(
    `${FOLDER}/client-types.ts`,
    `import type { Answer, CallOptions, EventStream, Paginator, PaginateOptions, StreamOptions } from "../runtime.ts";
import type { ErrorsByStatus, RunTokenExpiredError, ServerError, UnexpectedStatusError } from "../status-errors.ts";
${importTypes(names, "./types.ts")}`,
    CALL,
    ...refusalTypes(spec.operations.filter(({ media }) => media !== "sse")),
    ...own,
    ...surfaces(results).flatMap((surface) => surfaceInterfaces(spec.operations, surface)),
  );
}

const CALL = `/** What every call takes beside its parameters. */
export interface Call extends CallOptions {
  /** Sent along, over what the client sends by itself. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What every stream takes beside its parameters. */
export interface Subscription extends StreamOptions {
  /** Sent along, over what the client sends by itself. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}
`;

function inputType(operation: Operation, types: OperationTypes): string {
  const { path, query, body } = types;
  const members = [
    path ? member("pathParams", path, true) : "",
    query ? member("query", query, needsQuery(operation)) : "",
    body ? member("body", body, operation.body?.required === true) : "",
  ].join("");
  const name = `${upperFirst(operation.id)}Input`;
  const base = operation.media === "sse" ? "Subscription" : "Call";
  const comment = docComment(`What \`${operation.id}\` takes.`);
  return members === ""
    ? `${comment}export type ${name} = ${base};\n`
    : `${comment}export interface ${name} extends ${base} {\n${members}}\n`;
}

function member(name: string, type: string, required: boolean): string {
  return `  readonly ${name}${required ? "" : "?"}: ${nested(type, "  ")}${required ? "" : " | undefined"};\n`;
}

function resultOf({ successes }: Operation, types: OperationTypes): string {
  return [...new Set(successes.map(({ status }) => types.answers.get(status) ?? "undefined"))].join(" | ");
}

function resultType({ id }: Operation, result: string): string {
  return `${docComment(`What \`${id}\` answers.`)}export type ${upperFirst(id)}Result = ${result};\n`;
}

/** What a stream tells about: the schema that the contract names as the content of its events. */
function eventType({ id, successes }: Operation, names: Set<string>): string {
  const schema = successes.find(({ media }) => media === "sse")?.schema?.contentSchema as Schema | undefined;
  const name = schema?.$ref?.split("/").at(-1) ?? "JsonValue";
  names.add(name);
  return `${docComment(`What each event of \`${id}\` holds.`)}export type ${upperFirst(id)}Event = ${name};\n`;
}

function errorType(operation: Operation): string {
  const { id } = operation;
  return `${docComment(`How \`${id}\` is refused.`)}export type ${upperFirst(id)}Error = ${refusalName(operation)};\n`;
}

/** Operations share their errors by what may be answered: to a compiler each union is work of its own. */
function refusalTypes(operations: readonly Operation[]): string[] {
  const types = new Map<string, string>();
  for (const operation of operations) {
    const statuses = refusalStatuses(operation);
    const members = [
      statuses.length > 0 ? `ErrorsByStatus<ErrorResponse>[${statuses.join(" | ")}]` : "",
      operation.auth.includes("runToken") ? "RunTokenExpiredError<ErrorResponse>" : "",
      "ServerError<ErrorResponse>",
      "UnexpectedStatusError",
    ].filter((text) => text !== "");
    const name = refusalName(operation);
    const comment = docComment("How operations are refused that answer these statuses, and 5xx.");
    types.set(name, `${comment}export type ${name} =\n${members.map((text) => `  | ${text}`).join("\n")};\n`);
  }
  return [...types].sort(([left], [right]) => byName(left, right)).map(([, type]) => type);
}

/** Such as `Refused_400_401_429`, which an editor shows for the error of an answer. */
function refusalName(operation: Operation): string {
  const parts = operation.auth.includes("runToken") ? ["RefusedToRun"] : ["Refused"];
  return [...parts, ...refusalStatuses(operation)].join("_");
}

/** Every operation may answer 5xx as well. */
function refusalStatuses({ errors }: Operation): number[] {
  return errors.map(({ status }) => status).filter((status) => status < 500);
}

/**
 * @param results - The type of what each operation answers. A method names it rather than its alias `…Result`, which a
 *   compiler would have to look up for each call.
 */
function surfaces(results: ReadonlyMap<string, string>): readonly Surface[] {
  return [
    {
      name: "OperationsPromise",
      what: "operations",
      has: ({ media }) => media !== "sse",
      signature: (name, optional, { id }) => `(input${optional}: ${name}Input): Promise<${results.get(id)}>`,
    },
    {
      name: "Operations",
      what: "operations",
      has: ({ media }) => media !== "sse",
      signature: (name, optional, operation) =>
        `(input${optional}: ${name}Input): Promise<Answer<${results.get(operation.id)}, ${refusalName(operation)}>>`,
    },
    {
      name: "Streams",
      what: "event streams",
      has: ({ media }) => media === "sse",
      signature: (name, optional) => `(input${optional}: ${name}Input): EventStream<${name}Event>`,
    },
    {
      name: "Pagination",
      what: "lists",
      has: ({ paginated }) => paginated,
      signature: (name, optional) =>
        `(input${optional}: ${name}Input, options?: PaginateOptions): Paginator<${name}Result["data"][number], ${name}Result>`,
    },
  ];
}
