import { examples, type OperationInfo, operations } from "@strait/contract";

/** How a client wants its calls to be written. */
export interface Style {
  readonly imports: string;
  /** The call as an expression. */
  call(operation: OperationInfo, request: Request): string;
  /** What somebody has typed who is to be told which operations there are, and then what the body of one may have. */
  readonly typed: readonly [operations: string, body: string];
}

/** A call to write, with the request that the contract has for it as an example. */
export interface ExampleCall {
  readonly operation: OperationInfo;
  readonly request: Request;
}

/** The parts of an example, as source; undefined where the operation takes none. */
interface Request {
  readonly path: string | undefined;
  readonly query: string | undefined;
  readonly body: string | undefined;
}

/** A call of each operation of our contract but the streams. */
export const exampleCalls: readonly ExampleCall[] = Object.values<OperationInfo>(operations)
  .filter(({ media }) => media !== "sse")
  .map((operation) => ({ operation, request: requestOf(operation) }));

/** A program that makes the calls, and uses what they answer. */
export function consumerProgram({ imports, call }: Style, calls: readonly ExampleCall[]): string {
  const statements = calls.map(
    ({ operation, request }, index) => `  const r${index} = await ${call(operation, request)};\n  use(r${index});`,
  );
  return `${imports}
function use(_answer: unknown): void {}
export async function program(): Promise<void> {
${statements.join("\n")}
}
`;
}

/**
 * The program in our style, with a client of each credential.
 *
 * @param entry - The module to import.
 */
export function ourStyle(entry: string, surface: "operations" | "operationsPromise"): Style {
  const clients = ["bearer", "runToken", "internalSecret"].map(
    (type) => `const ${type} = createClient({ baseUrl: "https://x", auth: { type: "${type}", token: "t" } });`,
  );
  return {
    imports: [`import { createClient } from ${JSON.stringify(entry)};`, ...clients].join("\n"),
    call: ({ id, auth }, { path, query, body }) =>
      `${auth[0] ?? "bearer"}.${surface}.${id}(${members({ pathParams: path, query, body })})`,
    typed: [`bearer.${surface}.`, "postV1Jobs({ body: { "],
  };
}

/** The styles of the others, whose clients stand in `gen/` beside the program's folder. */
export const otherStyles: Readonly<Record<string, Style>> = {
  "openapi-fetch": {
    imports: `import createClient from "openapi-fetch";
import type { paths } from "../gen/openapi";
const client = createClient<paths>({ baseUrl: "https://x" });`,
    call: ({ method, path: template }, { path, query, body }) => {
      const params = members({ path, query });
      return `client.${method}("${template}", ${members({ params: params || undefined, body }) || "{}"})`;
    },
    typed: ['client.POST("/', 'v1/jobs", { body: { '],
  },
  "hey-api": {
    imports: `import { createClient } from "../gen/hey-api/client";
import * as sdk from "../gen/hey-api/sdk.gen";
const client = createClient({ baseUrl: "https://x" });`,
    call: ({ id }, { path, query, body }) =>
      // It spells some names in its own way.
      `sdk.${id.replaceAll("ID", "Id")}(${members({ client: "client", path, query, body })})`,
    typed: ["sdk.", "postV1Jobs({ client, body: { "],
  },
  redocly: {
    imports: 'import { client } from "../gen/redocly/client";',
    call: ({ id }, { path, query, body }) => `client.${id}(${members({ path, query, body })})`,
    typed: ["client.", "postV1Jobs({ body: { "],
  },
};

function requestOf({ id }: OperationInfo): Request {
  const { request } = examples[id as keyof typeof examples];
  const source = (value: unknown): string => JSON.stringify(value);
  const present = (value: object): string | undefined => (Object.keys(value).length > 0 ? source(value) : undefined);
  return {
    path: present(request.pathParams),
    query: present(request.query),
    body: request.body === undefined ? undefined : source(request.body),
  };
}

/** An object as source, without what is undefined; empty when nothing remains. */
function members(values: Readonly<Record<string, string | undefined>>): string {
  const present = Object.entries(values).filter(([, source]) => source !== undefined);
  return present.length === 0 ? "" : `{ ${present.map(([name, source]) => `${name}: ${source}`).join(", ")} }`;
}
