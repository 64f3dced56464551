import { byName, docComment, type GeneratedFile, importTypes, literal, typescriptFile } from "./emit.ts";
import { constantName, sharedAnswers } from "./examples.ts";
import type { Answer, Operation, Schema, Spec } from "./spec.ts";
import { compact, type DocumentTypes, type OperationTypes, operationTypes } from "./types.ts";

const FOLDER = "packages/msw/src/generated";

/** The generated files of `@strait/msw`. `types` are those of the contract, whose names they import. */
export function mswFiles(spec: Spec, types: DocumentTypes): GeneratedFile[] {
  return [operationsFile(spec, types), examplesFile(spec), handlersFile(spec)];
}

function operationsFile(spec: Spec, types: DocumentTypes): GeneratedFile {
  const names = new Set<string>(["StreamEvent"]);
  const members = spec.operations.map((operation) => {
    const rendered = operationTypes(types, operation);
    const answers = answerTypes(operation, rendered, names);
    for (const name of rendered.names) if (usesName(rendered, name)) names.add(name);
    return `  /** ${operation.method} ${operation.path}: ${operation.summary} */
  ${operation.id}: {
    call: MockCall<"${operation.id}">;
    answer:
${answers
  .map((answer) => `      | ${answer}\n`)
  .join("")
  .trimEnd()};
    first: ${operation.successes[0]?.status};
  };
`;
  });
  return typescriptFile(
    `${FOLDER}/operations.ts`,
    importTypes(names, "@strait/contract"),
    `import type { MockCall } from "../runtime.ts";\n`,
    `/** What each operation is called with, what it may answer, and the status of its first success. */
export interface MockOperations {
${members.join("\n")}}
`,
  );
}

/** Whether an answer names the type: what is asked has the types of the contract. */
function usesName({ answers }: OperationTypes, name: string): boolean {
  const word = new RegExp(`\\b${name}\\b`);
  return [...answers.values()].some((text) => text !== undefined && word.test(text));
}

/** One line per body type, the statuses of errors together. */
function answerTypes({ successes, errors }: Operation, types: OperationTypes, names: Set<string>): string[] {
  const statuses = new Map<string, number[]>();
  for (const answer of [...successes, ...errors]) {
    const type = bodyType(answer, types, names);
    statuses.set(type, [...(statuses.get(type) ?? []), answer.status]);
  }
  return [...statuses].map(([type, group]) => {
    const body = type === "undefined" ? "body?: undefined" : `body: ${type}`;
    return `{ status: ${group.join(" | ")}; ${body} }`;
  });
}

function bodyType({ status, media, schema }: Answer, types: OperationTypes, names: Set<string>): string {
  if (media === "sse") return "Iterable<StreamEvent> | AsyncIterable<StreamEvent>";
  const name = referenceName(schema);
  if (name) names.add(name);
  return name ?? compact(types.answers.get(status) ?? "undefined");
}

function referenceName(schema: Schema | undefined): string | undefined {
  return schema?.$ref?.replace("#/components/schemas/", "");
}

function examplesFile(spec: Spec): GeneratedFile {
  const byPath = new Map(spec.operations.map((operation) => [`${operation.method} ${operation.path}`, operation]));
  const rows = spec.operations.map((operation) => {
    const answers = [...operation.successes, ...operation.errors].map(
      (answer) => `    ${answer.status}: ${answerExample(operation, answer, byPath)},\n`,
    );
    return `  ${operation.id}: {\n${answers.join("")}  },\n`;
  });
  const shared = sharedAnswers(spec, ({ schema }) => referenceName(schema) ?? "unknown");
  return typescriptFile(
    `${FOLDER}/examples.ts`,
    importTypes(shared.types, "@strait/contract"),
    `import type { ExamplesOf } from "../runtime.ts";\nimport type { MockOperations } from "./operations.ts";\n`,
    shared.source,
    `/** The example of every answer, by operation and status. */
export const examples: { readonly [Id in keyof MockOperations]: ExamplesOf<MockOperations[Id]> } = {
${rows.join("")}};
`,
  );
}

function answerExample(operation: Operation, answer: Answer, byPath: ReadonlyMap<string, Operation>): string {
  if (answer.shared) return constantName(answer.shared);
  if (answer.media === "json") return literal(answer.example, "    ");
  if (answer.media === "none") return "undefined";
  // A stream shows the object that the path without `/stream` answers.
  const shown = byPath.get(`GET ${operation.path.replace(/\/stream$/, "")}`)?.successes[0]?.example ?? {};
  const frames = [
    { event: "status", id: "1", data: shown },
    { event: "end", data: {} },
  ];
  return literal(frames, "    ");
}

function handlersFile(spec: Spec): GeneratedFile {
  const rows = [...spec.operations].sort(bySpecificity).map(({ id, summary }) => {
    return `${docComment(summary, "  ")}  ${id}: handlerFactory("${id}", examples.${id}),\n`;
  });
  return typescriptFile(
    `${FOLDER}/handlers.ts`,
    `import { type HandlerFactory, handlerFactory } from "../runtime.ts";\nimport { examples } from "./examples.ts";\nimport type { MockOperations } from "./operations.ts";\n`,
    `/** A handler factory for every operation, those with the more specific path first. */
export const handlers: { readonly [Id in keyof MockOperations]: HandlerFactory<MockOperations[Id]> } = {
${rows.join("")}};
`,
  );
}

/** MSW takes the first handler that matches, so \`/v1/events/stats\` has to stand before \`/v1/events/{eventKey}\`. */
function bySpecificity(left: Operation, right: Operation): number {
  const rank = (path: string) => path.replaceAll("{", "\u{ffff}");
  return byName(rank(left.path), rank(right.path)) || byName(left.method, right.method);
}
