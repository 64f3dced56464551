import { describe, expect, test } from "vitest";
import { givenSurfaces } from "./fixture/client.ts";
import { givenServer, type Reply } from "./fixture/server.ts";

const page = (data: readonly unknown[], next: string | null): Reply => ({
  body: { data, next_cursor: next, has_more: next !== null },
});

async function givenList(...pages: Reply[]) {
  const { baseUrl, arrived } = await givenServer(...pages);
  return { list: givenSurfaces(baseUrl).paginate.getV1Events, arrived };
}

async function collect<Item>(items: AsyncIterable<Item> | undefined): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items ?? []) all.push(item);
  return all;
}

describe("a list", () => {
  test("is followed from page to page, with its filters on each", async () => {
    const { list, arrived } = await givenList(page([1, 2], "c1"), page([], "c2"), page([3], null));

    expect(await collect(list?.({ query: { status: "waiting" } }))).toEqual([1, 2, 3]);
    expect(arrived.map(({ url }) => url)).toEqual([
      "/v1/events?status=waiting",
      "/v1/events?status=waiting&cursor=c1",
      "/v1/events?status=waiting&cursor=c2",
    ]);
  });

  test("gives its pages as they are", async () => {
    const { list } = await givenList(page([1], "c1"), page([2], null));

    const pages = await collect(list?.().pages());

    expect(pages).toEqual([
      { data: [1], next_cursor: "c1", has_more: true },
      { data: [2], next_cursor: null, has_more: false },
    ]);
  });

  test("fetches no page before it is asked for", async () => {
    const { list, arrived } = await givenList(page([1, 2], "c1"));

    for await (const item of list?.() ?? []) if (item === 2) break;

    expect(arrived).toHaveLength(1);
  });

  test.each([
    [{ maxItems: 3 }, [1, 2, 1], 2],
    [{ maxItems: 2 }, [1, 2], 1],
    [{ maxPages: 1 }, [1, 2], 1],
    [{ maxItems: 0 }, [], 0],
  ])("stops at %j", async (options, items, requests) => {
    const { list, arrived } = await givenList(page([1, 2], "c1"), page([1, 2], "c2"), page([1, 2], "c3"));

    expect(await collect(list?.({}, options))).toEqual(items);
    expect(arrived).toHaveLength(requests);
  });

  test.each([{ maxItems: 1.5 }, { maxItems: Number.NaN }, { maxPages: -1 }, { maxPages: Number.NaN }])(
    "refuses %j, and asks for nothing",
    async (options) => {
      const { list, arrived } = await givenList(page([1], "c1"));
      const [field] = Object.keys(options);

      expect(() => list?.({}, options)).toThrow(
        expect.objectContaining({ _tag: "ValidationError", operationId: "getV1Events", field }),
      );
      expect(arrived).toHaveLength(0);
    },
  );

  test("whose cursor comes back is an error, not an endless loop", async () => {
    const { list, arrived } = await givenList(page([1], "c1"), page([2], "c2"), page([3], "c1"));

    await expect(collect(list?.())).rejects.toMatchObject({ _tag: "ProtocolError", operationId: "getV1Events" });
    expect(arrived).toHaveLength(3);
  });

  test("throws what a page throws", async () => {
    const { list } = await givenList(page([1], "c1"), { status: 400 });

    await expect(collect(list?.())).rejects.toMatchObject({ _tag: "BadRequestError" });
  });
});
