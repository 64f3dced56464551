import type { DataTag } from "@tanstack/query-core";

/** What an operation takes here: TanStack Query has a signal of its own, which ends a call that nobody waits for any more. */
export type QueryInput<Input> = Omit<Input, "signal">;

/** What a query is cached under. The input is path parameters and query; how the call is made is no part of it. */
export type QueryKey = readonly [operationId: string, kind: QueryKind, input: object];

export type QueryKind = "query" | "infinite";

/** The options of a query, for `useQuery`, `queryClient.fetchQuery` and the like. */
export interface Query<Result> {
  readonly queryKey: DataTag<QueryKey, Result>;
  readonly queryFn: (context: { readonly signal: AbortSignal }) => Promise<Result>;
}

/** The pages of a list as TanStack Query keeps them, and the cursors that led to them. */
export interface Pages<Page> {
  pages: Page[];
  pageParams: (string | undefined)[];
}

/** The options of a query that goes from page to page, for `useInfiniteQuery` and the like. */
export interface InfiniteQuery<Page> {
  readonly queryKey: DataTag<QueryKey, Pages<Page>>;
  readonly queryFn: (context: {
    readonly signal: AbortSignal;
    readonly pageParam: string | undefined;
  }) => Promise<Page>;
  readonly initialPageParam: string | undefined;
  readonly getNextPageParam: (page: Page) => string | null;
}

/** The options of a mutation, for `useMutation` and the like. Its variables are the input of the operation. */
export interface Mutation<Input, Result> {
  readonly mutationKey: readonly [operationId: string, kind: "mutation"];
  readonly mutationFn: (input: Input) => Promise<Result>;
}
