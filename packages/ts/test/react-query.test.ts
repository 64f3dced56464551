import { examples } from "@strait/contract";
import { InfiniteQueryObserver, MutationObserver, QueryClient, QueryObserver } from "@tanstack/query-core";
import createQueryApi from "openapi-react-query";
import { describe, expect, expectTypeOf, onTestFinished, test } from "vitest";
import { type Client, createClient, type EventTrigger, type EventTriggerPage, type SentEvent } from "../src/index.ts";
import { createQueryOptions, type Pages, queryKey } from "../src/react-query.ts";
import { type Arrived, givenServer, type Reply } from "./fixture/server.ts";

const key = { pathParams: { eventKey: "aml:user-456" } };
const trigger = examples.getV1EventsByEventKey.responses[200] as EventTrigger;
const page = examples.getV1Events.responses[200] as EventTriggerPage;

interface Given {
  readonly client: Client<"bearer">;
  readonly strait: ReturnType<typeof createQueryOptions<"bearer">>;
  readonly queryClient: QueryClient;
  readonly arrived: Arrived[];
}

/** A client of a server that gives these replies, and a cache that leaves repetitions to the client. */
async function given(...replies: Reply[]): Promise<Given> {
  const { baseUrl, arrived } = await givenServer(...replies);
  const client = createClient({ baseUrl, auth: { type: "bearer", token: "strait_test_0123456789" }, retries: 0 });
  const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  onTestFinished(() => queryClient.clear());
  return { client, strait: createQueryOptions(client), queryClient, arrived };
}

describe("the options of a query", () => {
  test("fetch, and keep what was answered under the operation and what it was asked for", async () => {
    const { strait, queryClient, arrived } = await given({ body: trigger });
    const options = strait.queryOptions.getV1EventsByEventKey({ ...key, timeoutMs: 5_000 });

    expect(await queryClient.fetchQuery(options)).toEqual(trigger);

    expect(options.queryKey).toEqual(["getV1EventsByEventKey", "query", key]);
    expect(queryClient.getQueryData(options.queryKey)).toEqual(trigger);
    expect(arrived.map(({ method, url }) => `${method} ${url}`)).toEqual(["GET /v1/events/aml%3Auser-456"]);
    expectTypeOf(queryClient.getQueryData(options.queryKey)).toEqualTypeOf<EventTrigger | undefined>();
  });

  test("take no input where the operation needs none", async () => {
    const { strait, queryClient } = await given({ body: page });

    const found = await queryClient.fetchQuery(strait.queryOptions.getV1Events());

    expectTypeOf(found).toEqualTypeOf<EventTriggerPage>();
    expect(strait.queryOptions.getV1Events().queryKey).toEqual(["getV1Events", "query", {}]);
  });

  test("give the error of the client", async () => {
    const { strait, queryClient } = await given({
      status: 404,
      body: { error: { code: "not_found", message: "none" } },
    });

    const failed = queryClient.fetchQuery(strait.queryOptions.getV1EventsByEventKey(key));

    await expect(failed).rejects.toMatchObject({ _tag: "NotFoundError", code: "not_found" });
  });

  test("end the call when nobody waits for it any more", async () => {
    let hasEnded = (): void => {};
    const ended = new Promise<void>((resolve) => {
      hasEnded = resolve;
    });
    const { strait, queryClient, arrived } = await given((response) => void response.on("close", hasEnded));
    const stop = new QueryObserver(queryClient, strait.queryOptions.getV1EventsByEventKey(key)).subscribe(() => {});

    await expect.poll(() => arrived).toHaveLength(1);
    stop();

    await ended;
  });
});

describe("the options of a list", () => {
  test("go from page to page, under a key of their own", async () => {
    const { strait, queryClient, arrived } = await given(
      { body: { ...page, next_cursor: "c2", has_more: true } },
      { body: { ...page, next_cursor: null, has_more: false } },
    );
    const options = strait.infiniteQueryOptions.getV1Events({ query: { status: "waiting" } });
    const observer = new InfiniteQueryObserver(queryClient, options);
    onTestFinished(observer.subscribe(() => {}));

    await expect.poll(() => observer.getCurrentResult().hasNextPage).toBe(true);
    const { data, hasNextPage } = await observer.fetchNextPage();

    expect(data?.pages.length).toBe(2);
    expect(hasNextPage).toBe(false);
    expect(arrived.map(({ url }) => url)).toEqual(["/v1/events?status=waiting", "/v1/events?status=waiting&cursor=c2"]);
    expect(options.queryKey).toEqual(["getV1Events", "infinite", { query: { status: "waiting" } }]);
    expectTypeOf(queryClient.getQueryData(options.queryKey)).toEqualTypeOf<Pages<EventTriggerPage> | undefined>();
  });

  test("begin where they are told to", async () => {
    const { strait } = await given();

    const options = strait.infiniteQueryOptions.getV1Events({ query: { cursor: "c7" } });

    expect(options.initialPageParam).toBe("c7");
  });
});

test("the options of a mutation take the input of the operation", async () => {
  const sent = examples.postV1EventsByEventKeySend.responses[200] as SentEvent;
  const { strait, queryClient, arrived } = await given({ body: sent });
  const observer = new MutationObserver(queryClient, strait.mutationOptions.postV1EventsByEventKeySend());

  const answer = await observer.mutate({ ...key, body: { payload: { result: "clear" } } });

  expect(answer).toEqual(sent);
  expect(JSON.parse(arrived[0]?.body ?? "")).toEqual({ payload: { result: "clear" } });
  expect(observer.options.mutationKey).toEqual(["postV1EventsByEventKeySend", "mutation"]);
});

describe("a key", () => {
  test.each([
    ["of an operation", queryKey("getV1Events"), ["query waiting", "query received", "infinite waiting"]],
    ["of a kind", queryKey("getV1Events", "query"), ["query waiting", "query received"]],
    ["of an input", queryKey("getV1Events", "query", { query: { status: "waiting" } }), ["query waiting"]],
  ])("%s stands for all that begins with it", async (_, prefix, expected) => {
    const { strait, queryClient } = await given();
    const { queryOptions, infiniteQueryOptions } = strait;
    const waiting = { query: { status: "waiting", limit: 10 } } as const;
    queryClient.setQueryData(queryOptions.getV1Events(waiting).queryKey, page);
    queryClient.setQueryData(queryOptions.getV1Events({ query: { status: "received" } }).queryKey, page);
    queryClient.setQueryData(infiniteQueryOptions.getV1Events(waiting).queryKey, { pages: [page], pageParams: [""] });
    queryClient.setQueryData(queryOptions.getV1EventsByEventKey(key).queryKey, trigger);

    const found = queryClient.getQueryCache().findAll({ queryKey: prefix });

    const names = found.map(({ queryKey: [, kind, input] }) => `${kind} ${(input as typeof waiting).query.status}`);
    expect(names).toEqual(expected);
  });
});

test("what a credential may not call has no options", async () => {
  const { client, strait } = await given();

  // @ts-expect-error: only the internal secret lists projects
  expect(strait.queryOptions.getV1Projects).toBeUndefined();
  // @ts-expect-error: a query changes nothing
  expect(strait.queryOptions.postV1Jobs).toBeUndefined();
  // @ts-expect-error: a stream is no query
  expect(strait.queryOptions.getV1EventsByEventKeyStream).toBeUndefined();
  expect(Object.keys(strait.infiniteQueryOptions)).toEqual(Object.keys(client.paginate));
});

test("openapi-react-query works on the paths of a client", async () => {
  const { client, queryClient, arrived } = await given({ body: trigger });
  const api = createQueryApi(client.paths);

  const options = api.queryOptions("get", "/v1/events/{eventKey}", { params: { path: key.pathParams } });

  expect(await queryClient.fetchQuery(options)).toEqual(trigger);
  expect(arrived[0]).toMatchObject({
    url: "/v1/events/aml%3Auser-456",
    headers: { authorization: expect.any(String) },
  });
});
