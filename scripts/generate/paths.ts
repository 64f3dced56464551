import {
  byName,
  docComment,
  type GeneratedFile,
  importTypes,
  propertyName,
  typescriptFile,
  upperFirst,
} from "./emit.ts";
import { type Answer, CREDENTIALS, type Operation, type Spec } from "./spec.ts";
import { interfacesByCredential, type Member, needsQuery } from "./surfaces.ts";
import { type DocumentTypes, type OperationTypes, operationTypes } from "./types.ts";

/**
 * The paths that each credential may call, in the form of openapi-typescript, which openapi-fetch takes. They are made
 * of the types of the operations, which a program with a client reads anyway; `openapi.ts` would be as much again.
 */
export function pathsFile({ operations }: Spec, types: DocumentTypes, file: string): GeneratedFile {
  const names = new Set(["ErrorResponse"]);
  const headers = new Map<string, string>();
  const byPath = new Map<string, Operation[]>();
  for (const operation of operations) {
    const rendered = operationTypes(types, operation);
    for (const name of rendered.names) names.add(name);
    if (rendered.headers) headers.set(headersName(operation), rendered.headers);
    byPath.set(operation.path, [...(byPath.get(operation.path) ?? []), operation]);
  }
  const members = [...byPath]
    .sort(([left], [right]) => byName(left, right))
    .map(([path, own]): Member => {
      const methods = own.map((operation) => method(operation, operationTypes(types, operation)));
      return {
        auth: CREDENTIALS.filter((credential) => own.some(({ auth }) => auth.includes(credential))),
        source: `  ${propertyName(path)}: {\n${methods.join("")}  };\n`,
      };
    });
  const inputs = operations.filter(takesParameters).map(({ id }) => `${upperFirst(id)}Input`);
  return typescriptFile(
    file,
    `import type { Content, EventStreamAnswer, JsonAnswer, NoContentAnswer } from "../path-types.ts";
${importTypes(inputs, "./client-types.ts")}${importTypes(usedIn([REFUSAL, ...members.map(({ source }) => source)], names), "./types.ts")}`,
    REFUSAL,
    refusalSets(operations),
    ...[...headers]
      .sort(([left], [right]) => byName(left, right))
      .map(([name, type]) => `${docComment("What may go along as a header.")}export interface ${name} ${type}\n`),
    ...interfacesByCredential("Paths", "paths", members),
  );
}

const REFUSAL = `/** How a call is refused. */
export interface Refusal extends JsonAnswer<ErrorResponse> {}
`;

/** Operations share their refusals: as members of each they would be a third of what a compiler keeps of the paths. */
function refusalSets(operations: readonly Operation[]): string {
  const sets = new Map(operations.map((operation) => [refusalsName(operation), operation.errors]));
  const members = [...sets]
    .sort(([left], [right]) => byName(left, right))
    .map(([name, errors]) => `  "${name}": { ${errors.map(({ status }) => `${status}: Refusal`).join("; ")} };\n`);
  return `/** How calls are refused, by the statuses that they may be refused with. */
export interface Refusals {
${members.join("")}}
`;
}

/** Such as `400_401_404`. */
function refusalsName({ errors }: Operation): string {
  return errors.map(({ status }) => status).join("_");
}

function method(operation: Operation, types: OperationTypes): string {
  const input = `${upperFirst(operation.id)}Input`;
  const query = types.query ? queryMember(operation, input) : "query?: never";
  const header = types.headers ? `header?: ${headersName(operation)}` : "header?: never";
  const path = types.path ? `path: ${input}["pathParams"]` : "path?: never";
  const body = types.body
    ? `requestBody${operation.body?.required ? "" : "?"}: Content<${types.body}>`
    : "requestBody?: never";
  const successes = operation.successes.map((answer) => `${answer.status}: ${answerType(answer, types)}`);
  return `    ${operation.method.toLowerCase()}: {
      parameters: { ${query}; ${header}; ${path}; cookie?: never };
      ${body};
      responses: Refusals["${refusalsName(operation)}"] & { ${successes.join("; ")} };
    };
`;
}

function queryMember(operation: Operation, input: string): string {
  return needsQuery(operation) ? `query: ${input}["query"]` : `query?: NonNullable<${input}["query"]>`;
}

function answerType({ status, media }: Answer, types: OperationTypes): string {
  if (media === "sse") return "EventStreamAnswer";
  const body = types.answers.get(status);
  return body ? `JsonAnswer<${body}>` : "NoContentAnswer";
}

function takesParameters({ pathParameters, queryParameters }: Operation): boolean {
  return pathParameters.length + queryParameters.length > 0;
}

/** Operations that take the same headers share their type, which is called after them. */
function headersName({ headers }: Operation): string {
  return `${headers.map(({ name }) => upperFirst(name.replaceAll("-", ""))).join("And")}Headers`;
}

/** Those of the names that the sources have. */
function usedIn(sources: readonly string[], names: ReadonlySet<string>): string[] {
  const words = new Set(sources.flatMap((source) => source.match(/\w+/g) ?? []));
  return [...names].filter((name) => words.has(name));
}
