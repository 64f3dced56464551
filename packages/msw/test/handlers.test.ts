import {
  type ErrorResponse,
  examples,
  type OperationId,
  operations,
  responseSchemas,
  type StreamEvent,
  schemas,
} from "@strait/contract";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { setupServer } from "msw/node";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createHandlers, failure, handlers, inTurn, type Overrides } from "../src/index.ts";

const baseUrl = "https://strait.dev";

const server = setupServer();
beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
afterAll(() => server.close());

/** Mocks the whole API until the test is over. */
function mock(overrides?: Overrides): void {
  server.use(...createHandlers({ baseUrl, overrides }));
  onTestFinished(() => server.resetHandlers());
}

const apiKey = { authorization: "Bearer strait_1" };
const json = { ...apiKey, "content-type": "application/json" };

/** What an operation asks for. */
function credentialsOf(id: OperationId): Record<string, string> {
  const auth: readonly string[] = operations[id].auth;
  if (auth.includes("runToken")) return { authorization: "Bearer a.run.token" };
  return auth.includes("bearer") ? apiKey : { "x-internal-secret": "secret" };
}

/** The example of an operation, with other members in its body or other headers where they are given. */
function requestOf(id: OperationId, more: { body?: object; headers?: Record<string, string> } = {}): Request {
  const { method, path } = operations[id];
  const { pathParams, query, body } = examples[id].request;
  const url = new URL(
    path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(pathParams[name] ?? "")),
    baseUrl,
  );
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  const headers = more.headers ?? { ...credentialsOf(id), "content-type": "application/json" };
  if (body === undefined && more.body === undefined) return new Request(url, { method, headers });
  return new Request(url, { method, headers, body: JSON.stringify({ ...(body as object), ...more.body }) });
}

const validator = new Ajv2020({ allowUnionTypes: true, allErrors: true });
addFormats.default(validator);
validator.addSchema(schemas);

const operationIds = Object.keys(operations) as OperationId[];

describe("a handler without an override", () => {
  test.each(operationIds.filter((id) => operations[id].media === "json"))(
    "%s answers as the contract says",
    async (id) => {
      mock();

      const response = await fetch(requestOf(id));

      const [status] = operations[id].success;
      expect(response.status).toBe(status);
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
      const valid = validator.validate(responseSchemas[id][status] ?? false, await response.json());
      expect(validator.errorsText(valid ? [] : validator.errors)).toBe("No errors");
    },
  );

  test.each(operationIds.filter((id) => operations[id].media === "none"))("%s answers without a body", async (id) => {
    mock();

    const response = await fetch(requestOf(id));

    expect([response.status, await response.text()]).toEqual([204, ""]);
  });

  test.each(operationIds.filter((id) => operations[id].media === "sse"))(
    "%s answers a stream that ends",
    async (id) => {
      mock();

      const response = await fetch(requestOf(id));

      expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
      expect(await response.text()).toMatch(/^event: status\nid: 1\ndata: \{"id":.*\}\n\nevent: end\ndata: \{\}\n\n$/);
    },
  );
});

test.each(operationIds)("every example of %s, errors included, fits its schema", (id) => {
  for (const [status, schema] of Object.entries(responseSchemas[id])) {
    const valid = validator.validate(schema, examples[id].responses[Number(status)]);
    expect(validator.errorsText(valid ? [] : validator.errors), status).toBe("No errors");
  }
});

describe("an override", () => {
  test("that is a status answers the contract's example of it", async () => {
    mock({ getV1EventsByEventKey: 404 });

    const response = await fetch(`${baseUrl}/v1/events/nobody`, { headers: apiKey });

    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
  });

  test("that is a status without a body answers none", async () => {
    mock({ getV1EventsByEventKeyStream: 204 });

    const response = await fetch(`${baseUrl}/v1/events/k/stream`, { headers: apiKey });

    expect([response.status, await response.text()]).toEqual([204, ""]);
  });

  test("that is status and body answers both", async () => {
    const body = {
      status: "buffered",
      disposition: "buffered",
      id: "evt_1",
      event_key: "k",
      expires_at: "2030-01-01T00:00:00Z",
    } as const;
    mock({ postV1EventsByEventKeySend: { status: 202, body } });

    const response = await fetch(`${baseUrl}/v1/events/k/send`, { method: "POST", headers: apiKey });

    expect(response.status).toBe(202);
    expect(await response.json()).toEqual(body);
  });

  test("that is a body answers it with the first success", async () => {
    mock({ postV1WorkflowsByWorkflowIDDryRun: { body: { valid: true, step_count: 0, roots: [], order: [] } } });

    const response = await fetch(`${baseUrl}/v1/workflows/w/dry-run`, { method: "POST", headers: apiKey });

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ step_count: 0 });
  });

  test("that is a function sees the call", async () => {
    mock({
      postV1EventsByEventKeySend: ({ pathParams, body, query, request }) => {
        const seen = [pathParams.eventKey, body, query, request.headers.get("authorization")];
        return Response.json(seen);
      },
    });

    const response = await fetch(`${baseUrl}/v1/events/k/send`, {
      method: "POST",
      headers: json,
      body: JSON.stringify({ payload: { approved: true } }),
    });

    const defaults = { if_no_waiter: "buffer", for_next: false, ttl_secs: 604_800 };
    expect(await response.json()).toEqual(["k", { payload: { approved: true }, ...defaults }, {}, "Bearer strait_1"]);
  });

  test("that is a function may let the call pass", async () => {
    mock({ getV1EventsByEventKey: ({ pathParams }) => (pathParams.eventKey === "gone" ? 404 : undefined) });

    const [gone, other] = await Promise.all(
      ["gone", "other"].map((key) => fetch(`${baseUrl}/v1/events/${key}`, { headers: apiKey })),
    );

    expect([gone?.status, other?.status]).toEqual([404, 200]);
  });

  test("sends the headers that go with an answer, and those that it names", async () => {
    mock({
      getV1EventsByEventKey: 503,
      getV1Runs: { status: 503, body: failure("unavailable", { details: { retry_after_secs: 7 } }).body },
      getV1Events: 401,
      getV1Jobs: { body: { data: [], next_cursor: null, has_more: false }, headers: { "x-request-id": "req_mine" } },
    });

    const [busy, slower, refused, named] = await Promise.all(
      ["events/k", "runs", "events", "jobs"].map((path) => fetch(`${baseUrl}/v1/${path}`, { headers: apiKey })),
    );

    expect(busy?.headers.get("retry-after")).toBe("1");
    expect(slower?.headers.get("retry-after")).toBe("7");
    expect(refused?.headers.get("www-authenticate")).toBe("Bearer");
    expect(named?.headers.get("x-request-id")).toBe("req_mine");
  });

  test("that is a failure has the status of its code", async () => {
    mock({
      postV1EventsByEventKeySend: failure("stale_generation", {
        message: "that was another question",
        details: { generation: 4 },
      }),
    });

    const response = await fetch(`${baseUrl}/v1/events/k/send`, { method: "POST", headers: apiKey });

    expect(response.status).toBe(409);
    const error = { code: "stale_generation", message: "that was another question", details: { generation: 4 } };
    expect(await response.json()).toMatchObject({ error });
  });

  test("in turn answers each call with the next reply, and then lets calls pass", async () => {
    mock({ getV1EventsByEventKey: inTurn(503, failure("not_found")) });

    const statuses = [];
    for (let n = 0; n < 3; n++) {
      statuses.push((await fetch(`${baseUrl}/v1/events/k`, { headers: apiKey })).status);
    }

    expect(statuses).toEqual([503, 404, 200]);
  });

  test("that is a function may answer a status", async () => {
    mock({ postV1EventsByEventKeySend: async ({ pathParams }) => (pathParams.eventKey === "taken" ? 409 : 200) });

    const statuses = await Promise.all(
      ["taken", "free"].map(
        async (key) => (await fetch(`${baseUrl}/v1/events/${key}/send`, { method: "POST", headers: apiKey })).status,
      ),
    );

    expect(statuses).toEqual([409, 200]);
  });

  test("that is a function never sees a body that is not JSON: the answer is 400", async () => {
    mock({ postV1EventsByEventKeySend: () => 200 });

    const response = await fetch(`${baseUrl}/v1/events/k/send`, { method: "POST", headers: json, body: "{" });

    expect(response.status).toBe(400);
  });

  test("of one handler stands before the others", async () => {
    mock();
    server.use(handlers.getV1EventsByEventKey(`${baseUrl}/`, 403));

    const response = await fetch(`${baseUrl}/v1/events/k`, { headers: apiKey });

    expect(response.status).toBe(403);
  });
});

describe("a request that breaks the contract is refused as by the server", () => {
  const send = "postV1EventsByEventKeySend";

  async function refused(request: Request): Promise<unknown[]> {
    // Whatever stands in: the server would not have come so far.
    mock({ [send]: 200, postV1EventsByEventKeyReject: 200, postSdkV1RunsByRunIDWaitForEvent: 200, getV1Events: 200 });
    const response = await fetch(request);
    const { error, request_id } = (await response.json()) as ErrorResponse;
    expect(request_id).toMatch(/^req_/);
    return [response.status, error.code, error.details.issues?.map(({ field, rule }) => `${field} ${rule}`)];
  }

  test("an unknown field", async () => {
    expect(await refused(requestOf(send, { body: { data: 1 } }))).toEqual([
      400,
      "validation_error",
      ["/data additionalProperties"],
    ]);
  });

  test("a missing field", async () => {
    const request = requestOf("postV1EventsByEventKeyReject", { body: { reason: undefined } });

    expect(await refused(request)).toEqual([400, "validation_error", ["/reason required"]]);
  });

  test("a query of the wrong type, and one that is unknown", async () => {
    const headers = apiKey;

    expect(await refused(new Request(`${baseUrl}/v1/events?limit=many`, { headers }))).toEqual([
      400,
      "validation_error",
      ["/query/limit type"],
    ]);
    expect(await refused(new Request(`${baseUrl}/v1/events?page=2`, { headers }))).toEqual([
      400,
      "validation_error",
      ["/query/page additionalProperties"],
    ]);
  });

  test.each(["%", "100%", "%zz", "%ff"])("a path with %j, which encodes nothing", async (key) => {
    const request = new Request(`${baseUrl}/v1/events/${key}/send`, { method: "POST", headers: apiKey });

    expect(await refused(request)).toEqual([400, "validation_error", ["/path percentEncoding"]]);
  });

  test.each(["1e1", "010"])("a number that is spelled %s", async (limit) => {
    const request = new Request(`${baseUrl}/v1/events?limit=${limit}`, { headers: apiKey });

    expect(await refused(request)).toEqual([400, "validation_error", ["/query/limit type"]]);
  });

  const guarded = operationIds.filter((id) => operations[id].auth.length > 0);

  test.each(guarded)("%s without credentials, or with a query that is unknown", async (id) => {
    const request = requestOf(id);
    const unknown = new Request(`${request.url}${request.url.includes("?") ? "&" : "?"}surprise=1`, request);

    const nobody = requestOf(id, { headers: { "content-type": "application/json" } });
    expect(await refused(nobody)).toEqual([401, "unauthorized", undefined]);
    expect((await refused(unknown)).slice(0, 2)).toEqual([400, "validation_error"]);
  });

  test.each(operationIds.filter((id) => examples[id].request.body !== undefined))(
    "%s with a field that is unknown, or another content type",
    async (id) => {
      const text = { ...credentialsOf(id), "content-type": "text/plain" };

      const [status, code, issues] = await refused(requestOf(id, { body: { surprise: 1 } }));
      expect([status, code, issues]).toEqual([400, "validation_error", ["/surprise additionalProperties"]]);
      expect(await refused(requestOf(id, { headers: text }))).toEqual([415, "unsupported_media_type", undefined]);
    },
  );

  test("a body that is no JSON by its type", async () => {
    const request = requestOf(send, { headers: { ...apiKey, "content-type": "text/plain" } });

    expect(await refused(request)).toEqual([415, "unsupported_media_type", undefined]);
  });

  test.each([
    ["no credentials", send, {}],
    ["a run token instead of an API key", send, { authorization: "Bearer a.run.token" }],
    ["an API key instead of a run token", "postSdkV1RunsByRunIDWaitForEvent", apiKey],
    ["the internal secret without a project", send, { "x-internal-secret": "secret" }],
  ] as const)("%s", async (_, id, headers) => {
    const request = requestOf(id, { headers: { ...headers, "content-type": "application/json" } });

    expect(await refused(request)).toEqual([401, "unauthorized", undefined]);
  });
});

describe("an event key in the path", () => {
  test.each([
    ["aml%3Auser-456", "aml:user-456"],
    ["aml:user-456", "aml:user-456"],
    ["a%2Fb", "a/b"],
    ["100%25", "100%"],
    ["100%2525", "100%25"],
    ["%E2%9C%93%20done", "✓ done"],
  ])("%s is %s", async (inPath, key) => {
    mock({ getV1EventsByEventKey: ({ pathParams }) => Response.json(pathParams.eventKey) });

    const response = await fetch(`${baseUrl}/v1/events/${inPath}`, { headers: apiKey });

    expect(await response.json()).toBe(key);
  });
});

describe("a stream", () => {
  test("sends the events of an override as they come", async () => {
    async function* events(): AsyncGenerator<StreamEvent> {
      yield { event: "status", id: "7", data: { text: "two\nlines" } };
      await Promise.resolve();
      yield { event: "end", data: {} };
    }
    mock({ getV1RunsByRunIDStream: { body: events() } });

    const response = await fetch(`${baseUrl}/v1/runs/run_1/stream`, { headers: apiKey });

    expect(await response.text()).toBe(
      'event: status\nid: 7\ndata: {"text":"two\\nlines"}\n\nevent: end\ndata: {}\n\n',
    );
  });

  test("ends and lets go of its source when the reader aborts", async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* keepalives(): AsyncGenerator<StreamEvent> {
      try {
        while (true) yield { event: "keepalive", data: {} };
      } finally {
        release();
      }
    }
    mock({ getV1EventsByEventKeyStream: { body: keepalives() } });
    const reader = new AbortController();

    const response = await fetch(`${baseUrl}/v1/events/k/stream`, {
      headers: apiKey,
      signal: reader.signal,
    });
    reader.abort();

    await expect(response.text()).rejects.toThrow("aborted");
    await released;
  });

  test("can be refused", async () => {
    mock({ getV1EventsByEventKeyStream: 401 });

    const response = await fetch(`${baseUrl}/v1/events/k/stream`, { headers: apiKey });

    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: "unauthorized" } });
  });
});

test("wrong overrides do not compile", () => {
  const wrong = [
    // @ts-expect-error: the contract has no such status
    { getV1EventsByEventKey: 202 } satisfies Overrides,
    // @ts-expect-error: not the body of this status
    { getV1EventsByEventKey: { status: 404, body: { status: "waiting" } } } satisfies Overrides,
    // @ts-expect-error: no such operation
    { getV1EventsByKey: 200 } satisfies Overrides,
    // @ts-expect-error: no such path parameter
    { getV1EventsByEventKey: ({ pathParams }) => (pathParams.key ? 200 : 404) } satisfies Overrides,
    // @ts-expect-error: a get is never refused for its generation
    { getV1EventsByEventKey: failure("stale_generation") } satisfies Overrides,
    // @ts-expect-error: the second one is no status of this operation
    { getV1EventsByEventKey: inTurn(503, 202) } satisfies Overrides,
  ];
  expect(wrong).toHaveLength(6);
});
