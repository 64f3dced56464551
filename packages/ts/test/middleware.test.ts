import { describe, expect, test } from "vitest";
import { type LogEntry, type LogLevel, logRequests } from "../src/log-requests.ts";
import type { Middleware } from "../src/middleware.ts";
import { apiKey, givenClient } from "./fixture/client.ts";
import { givenClosedPort, givenServer } from "./fixture/server.ts";

describe("middleware", () => {
  test("stands around each attempt, the first of the list outermost", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 503 }, {});
    const told: string[] = [];
    const tell =
      (name: string): Middleware =>
      async (request, next) => {
        told.push(`${name} ${request.operationId} ${request.attempt}`);
        request.headers["x-trail"] = `${request.headers["x-trail"] ?? ""}${name}`;
        const response = await next(request);
        told.push(`${name} ${response.status}`);
        return response;
      };

    await givenClient(baseUrl, { middleware: [tell("a"), tell("b")] }).getV1Events();

    expect(told).toEqual([
      ...["a getV1Events 1", "b getV1Events 1", "b 503", "a 503"],
      ...["a getV1Events 2", "b getV1Events 2", "b 200", "a 200"],
    ]);
    expect(arrived.map(({ headers }) => headers["x-trail"])).toEqual(["ab", "ab"]);
  });

  test("may send again, elsewhere, or not at all", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 404 }, { body: { from: "the second" } });
    const twice: Middleware = async (request, next) => {
      const first = await next(request);
      return first.ok ? first : next({ ...request, url: `${request.url}?again` });
    };
    const cached: Middleware = async () => Response.json({ from: "the cache" });

    const again = await givenClient(baseUrl, { middleware: [twice] }).getV1Events();
    const notSent = await givenClient(baseUrl, { middleware: [cached] }).getV1Events();

    expect([again, notSent]).toEqual([{ from: "the second" }, { from: "the cache" }]);
    expect(arrived.map(({ url }) => url)).toEqual(["/v1/events", "/v1/events?again"]);
  });

  test("that throws ends the call with what it threw, at once", async () => {
    const { baseUrl, arrived } = await givenServer({});
    const refusal = new Error("not on a Friday");
    const middleware: Middleware[] = [() => Promise.reject(refusal)];

    await expect(givenClient(baseUrl, { middleware }).getV1Events()).rejects.toBe(refusal);
    expect(arrived).toEqual([]);
  });

  test("does not hide that a connection failed, which is tried again", async () => {
    const middleware: Middleware[] = [(request, next) => next(request)];
    const client = givenClient(await givenClosedPort(), { middleware });

    await expect(client.getV1Events()).rejects.toMatchObject({ _tag: "ConnectionError", attempts: 3 });
  });
});

describe("the log", () => {
  async function givenLog(level: LogLevel | undefined, ...replies: Parameters<typeof givenServer>) {
    const { baseUrl } = await givenServer(...replies);
    const entries: LogEntry[] = [];
    const log = (entry: LogEntry) => void entries.push(entry);
    const client = givenClient(baseUrl, { middleware: [logRequests({ log, level, showHeaders: ["X-Shown"] })] });
    return { client, entries, baseUrl };
  }

  test("tells of each attempt and its answer", async () => {
    const { client, entries, baseUrl } = await givenLog(undefined, { status: 503 }, {});

    await client.getV1Events();

    const url = `${baseUrl}/v1/events`;
    expect(entries).toMatchObject([
      { level: "warn", message: `GET ${url} answered 503`, operationId: "getV1Events", attempt: 1, status: 503 },
      { level: "info", message: `GET ${url} answered 200`, method: "GET", url, attempt: 2, status: 200 },
    ]);
  });

  test.each([
    ["debug", ["debug", "info", "debug", "warn"]],
    ["info", ["info", "warn"]],
    ["warn", ["warn"]],
    ["error", []],
  ] as const)("at the level %s tells %j", async (level, told) => {
    const { client, entries } = await givenLog(level, {}, { status: 404 });

    await client.getV1Events();
    await client.getV1Events().catch(() => {});

    expect(entries.map((entry) => entry.level)).toEqual(told);
  });

  test("tells that there was no answer", async () => {
    const entries: LogEntry[] = [];
    const middleware = [logRequests({ log: (entry) => void entries.push(entry) })];

    await givenClient(await givenClosedPort(), { middleware, retries: 0 })
      .getV1Events()
      .catch(() => {});

    expect(entries).toMatchObject([{ level: "error", attempt: 1 }]);
  });

  test("holds no credential: neither the client's, nor a header's, nor that of a stream", async () => {
    const { client, entries } = await givenLog("debug", { headers: { "set-cookie": "session=0123456789" } });

    await client.getV1Events({
      query: { token: "strait_in_the_url", limit: 1 },
      headers: { "X-Hidden": "tell-nobody", "X-Shown": "tell-all" },
    });

    const text = JSON.stringify(entries);
    for (const secret of [apiKey, "strait_in_the_url", "tell-nobody", "0123456789"]) expect(text).not.toContain(secret);
    expect(entries[0]).toMatchObject({
      url: expect.stringContaining("?token=[redacted]&limit=1"),
      headers: { authorization: "[redacted]", "x-hidden": "[redacted]", "x-shown": "tell-all" },
    });
  });
});

test("the token of a stream is not in errors either", async () => {
  const { baseUrl } = await givenServer({
    status: 404,
    body: { error: { message: "GET /s?token=strait_in_the_url" } },
  });
  const refuses = givenClient("https://strait.dev", {
    retries: 0,
    fetch: (url) => Promise.reject(new Error(`cannot reach ${url}`)),
  });
  const query = { token: "strait_in_the_url" };

  const errors = await Promise.all(
    [givenClient(baseUrl), refuses].map((client) => client.getV1Events({ query }).catch((error: unknown) => error)),
  );

  for (const error of errors) {
    expect(String(error)).toContain("?token=[redacted]");
    expect(JSON.stringify(error)).not.toContain("strait_in_the_url");
  }
});
