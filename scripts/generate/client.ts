import { docComment, type GeneratedFile, importTypes, literal, typescriptFile, upperFirst } from "./emit.ts";
import { CREDENTIALS, type Credential, type Operation, type Spec } from "./spec.ts";
import { type DocumentTypes, nested, type OperationTypes, operationTypes } from "./types.ts";

const FOLDER = "packages/ts/src/generated";

/** The generated files of `@strait/ts`. `types` are those with open enums in answers. */
export function clientFiles(spec: Spec, types: DocumentTypes): GeneratedFile[] {
  return [
    operationsFile(spec),
    typescriptFile(`${FOLDER}/types.ts`, [...types.schemas.values()].join("\n"), types.openapi),
    clientTypesFile(spec, types),
  ];
}

/** The bits of `OperationRow.auth`, in the order of the credentials: 1, 2, 4. */
function authBits({ auth }: Operation): number {
  return CREDENTIALS.reduce((bits, credential, index) => (auth.includes(credential) ? bits | (1 << index) : bits), 0);
}

function operationsFile(spec: Spec): GeneratedFile {
  const rows = spec.operations.map((operation) => {
    const row = {
      method: operation.method,
      path: operation.path.split(/[{}]/).filter((part, index) => index === 0 || part !== ""),
      auth: authBits(operation),
      sse: operation.media === "sse",
      idempotent: operation.idempotent,
      paginated: operation.paginated,
    };
    return `  ${operation.id}: ${literal(row, "  ")},\n`;
  });
  return typescriptFile(
    `${FOLDER}/operations.ts`,
    `/** What the client has to know about an operation. */
export interface OperationRow {
  /** In upper case. */
  readonly method: string;
  /** Text and names of path parameters in turn, text first: \`["/v1/events/", "eventKey", "/send"]\`. */
  readonly path: readonly string[];
  /** The credentials that are accepted, as bits: 1 bearer, 2 run token, 4 internal secret. 0: anybody may call. */
  readonly auth: number;
  /** Answers a stream of server-sent events. */
  readonly sse: boolean;
  /** Takes an \`Idempotency-Key\`. */
  readonly idempotent: boolean;
  /** Takes \`limit\` and \`cursor\`, answers a page. */
  readonly paginated: boolean;
}
`,
    `/** Every operation by its id. */
export const operations = {
${rows.join("")}} as const satisfies Record<string, OperationRow>;
`,
    "export type OperationId = keyof typeof operations;\n",
  );
}

function clientTypesFile(spec: Spec, types: DocumentTypes): GeneratedFile {
  const names = new Set<string>();
  const inputs: string[] = [];
  const callable = spec.operations.filter(({ media }) => media !== "sse");
  for (const operation of callable) {
    const rendered = operationTypes(types, operation);
    for (const name of rendered.names) names.add(name);
    inputs.push(inputType(operation, rendered), resultType(operation, rendered));
  }
  return typescriptFile(
    `${FOLDER}/client-types.ts`,
    `import type { CallOptions } from "../runtime.ts";\n${importTypes(names, "./types.ts")}`,
    CALL,
    ...inputs,
    ...operationInterfaces(callable),
  );
}

const CALL = `/** What every call takes beside its parameters. */
export interface Call extends CallOptions {
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
  const comment = docComment(`What \`${operation.id}\` takes.`);
  return members === ""
    ? `${comment}export type ${name} = Call;\n`
    : `${comment}export interface ${name} extends Call {\n${members}}\n`;
}

function member(name: string, type: string, required: boolean): string {
  return `  readonly ${name}${required ? "" : "?"}: ${nested(type, "  ")}${required ? "" : " | undefined"};\n`;
}

function resultType({ id, successes }: Operation, types: OperationTypes): string {
  const bodies = new Set(successes.map(({ status }) => types.answers.get(status) ?? "undefined"));
  const comment = docComment(`What \`${id}\` answers.`);
  return `${comment}export type ${upperFirst(id)}Result = ${[...bodies].join(" | ")};\n`;
}

function needsQuery({ queryParameters }: Operation): boolean {
  return queryParameters.some(({ required }) => required);
}

function needsInput(operation: Operation): boolean {
  return operation.pathParameters.length > 0 || needsQuery(operation) || operation.body?.required === true;
}

/**
 * An interface per credential. Operations that accept the same credentials stand in one interface, from which those of
 * the credentials extend: each signature is written once, and an editor resolves it without computing a type.
 */
function operationInterfaces(operations: readonly Operation[]): string[] {
  const groups = new Map<string, { auth: readonly Credential[]; operations: Operation[] }>();
  for (const operation of operations) {
    const name = groupName(operation.auth);
    const group = groups.get(name) ?? { auth: operation.auth, operations: [] };
    group.operations.push(operation);
    groups.set(name, group);
  }
  const shared = [...groups].sort(([left], [right]) => (left < right ? -1 : 1));
  const interfaces = shared.map(([name, { auth, operations: members }]) => {
    const comment = docComment(
      auth.length === 0
        ? "The operations that need no credential."
        : `The operations that accept ${auth.join(" or ")}, and nothing else.`,
    );
    return `${comment}export interface ${name} {\n${members.map(signature).join("")}}\n`;
  });
  const byCredential = CREDENTIALS.map((credential) => {
    const bases = shared.filter(([, { auth }]) => auth.length === 0 || auth.includes(credential)).map(([name]) => name);
    const comment = docComment(`The operations that a client with the credential \`${credential}\` can call.`);
    const heritage = bases.length === 0 ? "" : ` extends ${bases.join(", ")}`;
    return `${comment}export interface ${upperFirst(credential)}OperationsPromise${heritage} {}\n`;
  });
  return [...interfaces, ...byCredential];
}

function groupName(auth: readonly Credential[]): string {
  return auth.length === 0 ? "PublicCalls" : `${auth.map(upperFirst).join("Or")}Calls`;
}

function signature(operation: Operation): string {
  const name = upperFirst(operation.id);
  const title = /[.?!]$/.test(operation.summary) ? operation.summary : `${operation.summary}.`;
  const comment = docComment(`${title}\n\n${operation.description}`, "  ");
  return `${comment}  ${operation.id}(input${needsInput(operation) ? "" : "?"}: ${name}Input): Promise<${name}Result>;\n`;
}
