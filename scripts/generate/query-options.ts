import { type GeneratedFile, importTypes, typescriptFile, upperFirst } from "./emit.ts";
import type { Operation, Spec } from "./spec.ts";
import { type Surface, surfaceInterfaces } from "./surfaces.ts";

/** The options of `@strait/ts/react-query`: an interface for each credential and kind, as for the surfaces of a client. */
export function queryOptionsFile({ operations }: Spec, path: string): GeneratedFile {
  const names = operations
    .filter(({ media }) => media !== "sse")
    .flatMap(({ id }) => [`${upperFirst(id)}Input`, `${upperFirst(id)}Result`]);
  return typescriptFile(
    path,
    `import type { InfiniteQuery, Mutation, Query, QueryInput } from "../query.ts";
${importTypes(names, "./client-types.ts")}`,
    ...kinds.flatMap((kind) => surfaceInterfaces(operations, kind)),
  );
}

const kinds: readonly Surface[] = [
  {
    name: "QueryOptions",
    what: "queries",
    has: (operation) => isQuery(operation),
    signature: (name, optional) => `(input${optional}: QueryInput<${name}Input>): Query<${name}Result>`,
  },
  {
    name: "InfiniteQueryOptions",
    what: "queries of lists",
    has: ({ paginated }) => paginated,
    signature: (name, optional) => `(input${optional}: QueryInput<${name}Input>): InfiniteQuery<${name}Result>`,
  },
  {
    name: "MutationOptions",
    what: "mutations",
    has: (operation) => operation.media !== "sse" && !isQuery(operation),
    signature: (name, optional) => `(): Mutation<${name}Input${optional && " | void"}, ${name}Result>`,
  },
];

function isQuery({ method, media }: Operation): boolean {
  return method === "GET" && media !== "sse";
}
