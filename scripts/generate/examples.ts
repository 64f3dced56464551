import { byName, type GeneratedFile, literal, lowerFirst, propertyName, typescriptFile } from "./emit.ts";
import type { Answer, Operation, Parameter, Spec } from "./spec.ts";

/** The examples of the contract as data: a request that each operation understands, and what it may answer. */
export function examplesFile(spec: Spec, path: string): GeneratedFile {
  return typescriptFile(
    path,
    `import type { OperationId } from "./operations.ts";\n`,
    `/** A request that an operation understands, and its answers. */
export interface OperationExample {
  readonly request: {
    /** Not yet percent-encoded. */
    readonly pathParams: Readonly<Record<string, string>>;
    readonly query: Readonly<Record<string, string | number | boolean>>;
    readonly body?: unknown;
  };
  /** The bodies by status; undefined for an answer without a JSON body. */
  readonly responses: Readonly<Record<number, unknown>>;
}
`,
    sharedAnswers(spec).source,
    `/** The examples of each operation. */
export const examples: Readonly<Record<OperationId, OperationExample>> = {
${spec.operations.map(operationExample).join("")}};
`,
  );
}

/**
 * A constant for each answer that operations share: otherwise the errors would fill the file.
 *
 * @param typeOf - The type to give the constant; absent means none.
 */
export function sharedAnswers(
  spec: Spec,
  typeOf?: (answer: Answer) => string,
): { readonly source: string; readonly types: ReadonlySet<string> } {
  const answers = spec.operations.flatMap(({ successes, errors }) => [...successes, ...errors]);
  const shared = new Map(
    answers.flatMap((answer) => (answer.shared ? [[constantName(answer.shared), answer] as const] : [])),
  );
  const types = new Set<string>();
  const constants = [...shared]
    .sort(([left], [right]) => byName(left, right))
    .map(([name, answer]) => {
      const type = typeOf?.(answer);
      if (type) types.add(type);
      return `const ${name}${type ? `: ${type}` : ""} = ${literal(answer.example)};\n`;
    });
  return { source: constants.join("\n"), types };
}

/** The examples of answers by status, as the members of an object. */
function answerMembers(answers: readonly Answer[], indent: string): string {
  return answers
    .map(
      (answer) =>
        `${indent}${answer.status}: ${answer.shared ? constantName(answer.shared) : exampleOf(answer, indent)},\n`,
    )
    .join("");
}

function exampleOf({ media, example }: Answer, indent: string): string {
  return media === "json" ? literal(example, indent) : "undefined";
}

/** The name of the constant of a shared answer. */
export function constantName(shared: string): string {
  return lowerFirst(shared);
}

function operationExample(operation: Operation): string {
  const { pathParameters, queryParameters, body, successes, errors } = operation;
  const request = {
    pathParams: values(pathParameters),
    query: values(queryParameters),
    ...(body ? { body: body.example } : {}),
  };
  return `  ${propertyName(operation.id)}: {
    request: ${literal(request, "    ")},
    responses: {
${answerMembers([...successes, ...errors], "      ")}    },
  },
`;
}

function values(parameters: readonly Parameter[]): Record<string, unknown> {
  const given = parameters.filter(({ example }) => example !== undefined);
  return Object.fromEntries(given.map(({ name, example }) => [name, example]));
}
