import { describe, expect, test } from "vitest";
import { apiKey, givenClient } from "./fixture/client.ts";
import { givenServer } from "./fixture/server.ts";

describe("a request", () => {
  test("has the method, path, body and credential of its operation, and resolves with the parsed answer", async () => {
    const { baseUrl, arrived } = await givenServer({ body: { id: "trg_1", status: "received" } });
    const client = givenClient(baseUrl);

    const resolved = await client.postV1EventsByEventKeySend({
      pathParams: { eventKey: "aml:user-456" },
      body: { payload: { result: "clear", note: "naïve ✓" } },
    });

    expect(resolved).toEqual({ id: "trg_1", status: "received" });
    expect(arrived).toEqual([
      {
        method: "POST",
        url: "/v1/events/aml%3Auser-456/send",
        body: '{"payload":{"result":"clear","note":"naïve ✓"}}',
        headers: expect.objectContaining({
          accept: "application/json",
          authorization: `Bearer ${apiKey}`,
          "content-type": "application/json",
        }),
      },
    ]);
  });

  test("has neither a content type nor an idempotency key when it is a GET", async () => {
    const { baseUrl, arrived } = await givenServer({});

    await givenClient(baseUrl).getV1EventsByEventKey({ pathParams: { eventKey: "k" } });

    expect(arrived[0]?.headers).not.toHaveProperty("content-type");
    expect(arrived[0]?.headers).not.toHaveProperty("idempotency-key");
  });

  test("resolves with undefined when the answer is 204", async () => {
    const { baseUrl } = await givenServer({ status: 204 });

    await expect(
      givenClient(baseUrl).deleteV1EventsByEventKey({ pathParams: { eventKey: "k" } }),
    ).resolves.toBeUndefined();
  });

  test("keeps unknown fields and null bodies of an answer", async () => {
    const { baseUrl } = await givenServer({ body: { status: "a_new_one", extra: [1] } }, { body: null });
    const client = givenClient(baseUrl);

    expect(await client.getV1Events()).toEqual({ status: "a_new_one", extra: [1] });
    expect(await client.getV1Events()).toBeNull();
  });

  test("goes below the path of the base URL", async () => {
    const { baseUrl, arrived } = await givenServer({});

    await givenClient(`${baseUrl}/strait/api//`).getV1Events();

    expect(arrived[0]?.url).toBe("/strait/api/v1/events");
  });
});

describe("the credential", () => {
  test("is not sent to a public operation", async () => {
    const { baseUrl, arrived } = await givenServer({});

    await givenClient(baseUrl).getHealth();

    expect(arrived[0]?.headers).not.toHaveProperty("authorization");
  });

  test("is a bearer token when it is the token of a run", async () => {
    const { baseUrl, arrived } = await givenServer({});
    const client = givenClient(baseUrl, { auth: { type: "runToken", token: "run-token" } });

    await client.postSdkV1RunsByRunIDWaitForEvent({ pathParams: { runID: "run_1" }, body: { event_key: "k" } });

    expect(arrived[0]?.url).toBe("/sdk/v1/runs/run_1/wait-for-event");
    expect(arrived[0]?.headers.authorization).toBe("Bearer run-token");
  });

  test("names the project beside the internal secret", async () => {
    const { baseUrl, arrived } = await givenServer({});
    const auth = { type: "internalSecret", token: "s3cret-s3cret", projectId: "proj_1" } as const;

    await givenClient(baseUrl, { auth }).getV1Projects();

    expect(arrived[0]?.headers).toMatchObject({ "x-internal-secret": "s3cret-s3cret", "x-project-id": "proj_1" });
    expect(arrived[0]?.headers).not.toHaveProperty("authorization");
  });
});

describe("a path value", () => {
  test.each([
    ["aml:user-456", "aml%3Auser-456"],
    ["a/b?c#d%e", "a%2Fb%3Fc%23d%25e"],
    ["%2e%2e", "%252e%252e"],
    ["größe 1", "gr%C3%B6%C3%9Fe%201"],
    ["...", "..."],
    ["a\\b;c", "a%5Cb%3Bc"],
  ])("of %j is sent as %s", async (eventKey, encoded) => {
    const { baseUrl, arrived } = await givenServer({});

    await givenClient(baseUrl).getV1EventsByEventKey({ pathParams: { eventKey } });

    expect(arrived[0]?.url).toBe(`/v1/events/${encoded}`);
  });

  test("stands at its own place when there are several", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 204 });
    const client = givenClient(baseUrl, { auth: { type: "runToken", token: "run-token" } });

    await client.deleteSdkV1RunsByRunIDStateByKey({ pathParams: { key: "{runID}", runID: "{key}" } });

    expect(arrived[0]?.url).toBe("/sdk/v1/runs/%7Bkey%7D/state/%7BrunID%7D");
  });

  test.each([
    ["", "must be a text other than"],
    [".", "must be a text other than"],
    ["..", "must be a text other than"],
    [undefined, "must be a text"],
    [null, "must be a text"],
    [["a"], "must be a text"],
    ["\ud800", "cannot be sent"],
  ])("of %j is refused before anything is sent", async (eventKey, why) => {
    const { baseUrl, arrived } = await givenServer({});

    const call = givenClient(baseUrl).postV1EventsByEventKeySend({ pathParams: { eventKey }, body: {} });

    await expect(call).rejects.toMatchObject({
      _tag: "ValidationError",
      field: "pathParams.eventKey",
      operationId: "postV1EventsByEventKeySend",
      attempts: 0,
      message: expect.stringContaining(why),
    });
    expect(arrived).toEqual([]);
  });
});

describe("a query", () => {
  test("is encoded, with a repeated name for each element of an array and without absent values", async () => {
    const { baseUrl, arrived } = await givenServer({});

    await givenClient(baseUrl).getV1Events({
      query: { prefix: "a&b=c +ü", limit: 10, status: ["waiting", "received"], cursor: undefined, source_type: null },
    });

    expect(arrived[0]?.url).toBe("/v1/events?prefix=a%26b%3Dc%20%2B%C3%BC&limit=10&status=waiting&status=received");
  });

  test("is left out when it is empty", async () => {
    const { baseUrl, arrived } = await givenServer({});

    await givenClient(baseUrl).getV1Events({ query: { cursor: undefined } });

    expect(arrived[0]?.url).toBe("/v1/events");
  });

  test("is refused when it cannot be encoded", async () => {
    const { baseUrl, arrived } = await givenServer({});

    await expect(givenClient(baseUrl).getV1Events({ query: { prefix: "\ud800" } })).rejects.toMatchObject({
      _tag: "ValidationError",
      field: "query.prefix",
    });
    expect(arrived).toEqual([]);
  });
});

describe("headers", () => {
  test("of a call win over those of the client, whatever their case", async () => {
    const { baseUrl, arrived } = await givenServer({});
    const client = givenClient(baseUrl, { headers: { "X-Team": "a", "X-Trace": "1" } });

    await client.getV1Events({ headers: { "x-team": "b", Accept: "application/vnd+json", "X-None": undefined } });

    expect(arrived[0]?.headers).toMatchObject({ "x-team": "b", "x-trace": "1", accept: "application/vnd+json" });
    expect(arrived[0]?.headers).not.toHaveProperty("x-none");
  });

  test.each([
    [{ "X-Team": "a\r\nX-Evil: 1" }, 'headers["X-Team"]'],
    [{ "X-Team": "✓" }, 'headers["X-Team"]'],
    [{ "X Team": "a" }, 'headers["X Team"]'],
  ])("of %j are refused before anything is sent", async (headers, field) => {
    const { baseUrl, arrived } = await givenServer({});

    await expect(givenClient(baseUrl).getV1Events({ headers })).rejects.toMatchObject({
      _tag: "ValidationError",
      field,
    });
    expect(arrived).toEqual([]);
  });
});

test("a body that is not JSON is refused before anything is sent", async () => {
  const { baseUrl, arrived } = await givenServer({});
  const input = { pathParams: { eventKey: "k" }, body: { payload: 1n } };

  await expect(givenClient(baseUrl).postV1EventsByEventKeySend(input)).rejects.toMatchObject({
    _tag: "ValidationError",
    field: "body",
  });
  expect(arrived).toEqual([]);
});

test("a replaced fetch gets plain values, no Request and no Headers, and no receiver", async () => {
  const seen: unknown[] = [];
  const client = givenClient("https://strait.dev", {
    async fetch(this: unknown, url, init) {
      seen.push(this, url, init.headers.constructor, init.method, init.redirect);
      return Response.json({});
    },
  });

  await client.getV1Events({ query: { limit: 1 } });

  expect(seen).toEqual([undefined, "https://strait.dev/v1/events?limit=1", Object, "GET", "manual"]);
});
