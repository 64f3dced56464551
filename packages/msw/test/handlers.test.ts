import { examples, type OperationId, operations, responseSchemas, type StreamEvent, schemas } from "@strait/contract";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { setupServer } from "msw/node";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createHandlers, handlers, type Overrides } from "../src/index.ts";

const baseUrl = "https://strait.dev";

const server = setupServer();
beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
afterAll(() => server.close());

/** Mocks the whole API until the test is over. */
function mock(overrides?: Overrides): void {
  server.use(...createHandlers({ baseUrl, overrides }));
  onTestFinished(() => server.resetHandlers());
}

function requestOf(id: OperationId): Request {
  const { method, path } = operations[id];
  const { pathParams, query, body } = examples[id].request;
  const url = new URL(
    path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(pathParams[name] ?? "")),
    baseUrl,
  );
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return new Request(url, body === undefined ? { method } : { method, body: JSON.stringify(body) });
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
      expect(await response.text()).toMatch(/^id: 1\nevent: status\ndata: \{"id":.*\}\n\nevent: end\ndata: \{\}\n\n$/);
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

    const response = await fetch(`${baseUrl}/v1/events/nobody`);

    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: "not_found" } });
  });

  test("that is a status without a body answers none", async () => {
    mock({ getV1EventsByEventKeyStream: 204 });

    const response = await fetch(`${baseUrl}/v1/events/k/stream`);

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

    const response = await fetch(`${baseUrl}/v1/events/k/send`, { method: "POST" });

    expect(response.status).toBe(202);
    expect(await response.json()).toEqual(body);
  });

  test("that is a body answers it with the first success", async () => {
    mock({ postV1WorkflowsByWorkflowIDDryRun: { body: { valid: true, step_count: 0, roots: [], order: [] } } });

    const response = await fetch(`${baseUrl}/v1/workflows/w/dry-run`, { method: "POST" });

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ step_count: 0 });
  });

  test("that is a function sees the call", async () => {
    mock({
      postV1EventsByEventKeySend: ({ pathParams, body, query, request }) => {
        const seen = [pathParams.eventKey, body?.payload, query.get("trace"), request.headers.get("authorization")];
        return Response.json(seen);
      },
    });

    const response = await fetch(`${baseUrl}/v1/events/k/send?trace=yes`, {
      method: "POST",
      headers: { authorization: "Bearer strait_1" },
      body: JSON.stringify({ payload: { approved: true } }),
    });

    expect(await response.json()).toEqual(["k", { approved: true }, "yes", "Bearer strait_1"]);
  });

  test("that is a function may answer a status", async () => {
    mock({ postV1EventsByEventKeySend: async ({ pathParams }) => (pathParams.eventKey === "taken" ? 409 : 200) });

    const statuses = await Promise.all(
      ["taken", "free"].map(
        async (key) => (await fetch(`${baseUrl}/v1/events/${key}/send`, { method: "POST" })).status,
      ),
    );

    expect(statuses).toEqual([409, 200]);
  });

  test("that is a function never sees a body that is not JSON: the answer is 400", async () => {
    mock({ postV1EventsByEventKeySend: () => 200 });

    const response = await fetch(`${baseUrl}/v1/events/k/send`, { method: "POST", body: "{" });

    expect(response.status).toBe(400);
  });

  test("of one handler stands before the others", async () => {
    mock();
    server.use(handlers.getV1EventsByEventKey(`${baseUrl}/`, 403));

    const response = await fetch(`${baseUrl}/v1/events/k`);

    expect(response.status).toBe(403);
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

    const response = await fetch(`${baseUrl}/v1/events/${inPath}`);

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

    const response = await fetch(`${baseUrl}/v1/runs/run_1/stream`);

    expect(await response.text()).toBe(
      'id: 7\nevent: status\ndata: {"text":"two\\nlines"}\n\nevent: end\ndata: {}\n\n',
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

    const response = await fetch(`${baseUrl}/v1/events/k/stream`, { signal: reader.signal });
    reader.abort();

    await expect(response.text()).rejects.toThrow("aborted");
    await released;
  });

  test("can be refused", async () => {
    mock({ getV1EventsByEventKeyStream: 401 });

    const response = await fetch(`${baseUrl}/v1/events/k/stream`);

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
  ];
  expect(wrong).toHaveLength(4);
});
