import type {
  BearerInfiniteQueryOptions,
  BearerMutationOptions,
  BearerQueryOptions,
  InternalSecretInfiniteQueryOptions,
  InternalSecretMutationOptions,
  InternalSecretQueryOptions,
  RunTokenInfiniteQueryOptions,
  RunTokenMutationOptions,
  RunTokenQueryOptions,
} from "./generated/query-options.ts";
import type { Client } from "./index.ts";
import type { InfiniteQuery, Query, QueryKey, QueryKind } from "./query.ts";
import type { AuthType, CallInput } from "./runtime.ts";

export type {
  BearerInfiniteQueryOptions,
  BearerMutationOptions,
  BearerQueryOptions,
  InternalSecretInfiniteQueryOptions,
  InternalSecretMutationOptions,
  InternalSecretQueryOptions,
  RunTokenInfiniteQueryOptions,
  RunTokenMutationOptions,
  RunTokenQueryOptions,
} from "./generated/query-options.ts";
export type { InfiniteQuery, Mutation, Pages, Query, QueryInput, QueryKey, QueryKind } from "./query.ts";

/** What each kind of credential may query and change. */
export interface QuerySurfaces {
  readonly queryOptions: {
    readonly bearer: BearerQueryOptions;
    readonly runToken: RunTokenQueryOptions;
    readonly internalSecret: InternalSecretQueryOptions;
  };
  readonly infiniteQueryOptions: {
    readonly bearer: BearerInfiniteQueryOptions;
    readonly runToken: RunTokenInfiniteQueryOptions;
    readonly internalSecret: InternalSecretInfiniteQueryOptions;
  };
  readonly mutationOptions: {
    readonly bearer: BearerMutationOptions;
    readonly runToken: RunTokenMutationOptions;
    readonly internalSecret: InternalSecretMutationOptions;
  };
}

/** The operations of a client as options for TanStack Query 5, by their operation ids. */
export interface QueryOptions<Type extends AuthType> {
  /** What reads, as the options of a query. */
  readonly queryOptions: QuerySurfaces["queryOptions"][Type];
  /** The lists, as the options of a query that goes from page to page. */
  readonly infiniteQueryOptions: QuerySurfaces["infiniteQueryOptions"][Type];
  /** What changes something, as the options of a mutation. */
  readonly mutationOptions: QuerySurfaces["mutationOptions"][Type];
}

/**
 * Makes options for TanStack Query 5, whichever framework it is used with, of the operations of a client.
 *
 * @example
 * ```ts
 * const strait = createQueryOptions(client);
 *
 * const trigger = useQuery(strait.queryOptions.getV1EventsByEventKey({ pathParams: { eventKey } }));
 * const send = useMutation(strait.mutationOptions.postV1EventsByEventKeySend());
 * ```
 */
export function createQueryOptions<Type extends AuthType>(client: Client<Type>): QueryOptions<Type> {
  const methods = client.operationsPromise as object as Readonly<Record<string, Method>>;
  const queryOptions: Record<string, unknown> = {};
  const infiniteQueryOptions: Record<string, unknown> = {};
  const mutationOptions: Record<string, unknown> = {};
  for (const [id, call] of Object.entries(methods)) {
    if (id.startsWith("get")) queryOptions[id] = (input: CallInput = {}) => queryOf(id, call, input);
    else
      mutationOptions[id] = () => ({ mutationKey: [id, "mutation"], mutationFn: (input?: CallInput) => call(input) });
    if (id in client.paginate) infiniteQueryOptions[id] = (input: CallInput = {}) => infiniteQueryOf(id, call, input);
  }
  // The generated interfaces are written from the same table that the client is made of.
  return { queryOptions, infiniteQueryOptions, mutationOptions } as unknown as QueryOptions<Type>;
}

type Method = (input?: CallInput) => Promise<unknown>;

function queryOf(id: string, call: Method, input: CallInput): Query<unknown> {
  return {
    queryKey: keyOf(id, "query", input) as Query<unknown>["queryKey"],
    queryFn: ({ signal }) => call({ ...input, signal }),
  };
}

function infiniteQueryOf(id: string, call: Method, input: CallInput): InfiniteQuery<unknown> {
  const { cursor } = (input.query ?? {}) as { readonly cursor?: string };
  return {
    queryKey: keyOf(id, "infinite", input) as InfiniteQuery<unknown>["queryKey"],
    queryFn: ({ signal, pageParam }) => call({ ...input, query: { ...input.query, cursor: pageParam }, signal }),
    initialPageParam: cursor,
    // What is paginated answers pages.
    getNextPageParam: (page) => (page as { readonly next_cursor: string | null }).next_cursor,
  };
}

/**
 * The key of a query, or the beginning of several, for `invalidateQueries` and the like.
 *
 * @param kind - Without it, the key fits both kinds of queries of the operation.
 * @param input - Without it, the key fits whatever was asked; with a part of it, whatever was asked with that part.
 *
 * @example
 * ```ts
 * await queryClient.invalidateQueries({ queryKey: queryKey("getV1Events") });
 * await queryClient.invalidateQueries({ queryKey: queryKey("getV1EventsByEventKey", "query", { pathParams: { eventKey } }) });
 * ```
 */
export function queryKey(operationId: QueryId, kind?: QueryKind, input?: QueryKeyInput): readonly unknown[] {
  if (kind === undefined) return [operationId];
  return input === undefined ? [operationId, kind] : keyOf(operationId, kind, input);
}

function keyOf(id: string, kind: QueryKind, { pathParams, query }: QueryKeyInput): QueryKey {
  return [id, kind, { ...(pathParams && { pathParams }), ...(query && { query }) }];
}

/** The operations that can be queried. */
export type QueryId = keyof BearerQueryOptions | keyof InternalSecretQueryOptions | keyof RunTokenQueryOptions;

/** The part of an input that tells queries of an operation apart. */
export interface QueryKeyInput {
  readonly pathParams?: object | undefined;
  readonly query?: object | undefined;
}
