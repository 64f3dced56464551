import { describe, expect, test } from "vitest";
import { createClient } from "../src/index.ts";
import { errorBody, givenServer, type Reply } from "./fixture/server.ts";

const token = "strait_test_0123456789";

async function givenPaths(...replies: Reply[]) {
  const { baseUrl, arrived } = await givenServer(...replies);
  const { paths } = createClient({ baseUrl, auth: { type: "bearer", token }, maxRetryAfterMs: 0 });
  return { paths, arrived };
}

const once = { "retry-after-ms": "0" };

describe("the openapi-fetch client", () => {
  test("sends with the credential, the retries and the idempotency key of ours", async () => {
    const { paths, arrived } = await givenPaths({ status: 503, headers: once }, { body: { id: "trg_1" } });

    const { data, error, response } = await paths.POST("/v1/events/{eventKey}/send", {
      params: { path: { eventKey: "aml:user-456" } },
      body: { payload: { result: "clear" } },
    });

    expect([data, error, response.status]).toEqual([{ id: "trg_1" }, undefined, 200]);
    expect(arrived.map(({ method, url, body }) => [method, url, body])).toEqual(
      Array(2).fill(["POST", "/v1/events/aml%3Auser-456/send", '{"payload":{"result":"clear"}}']),
    );
    expect(arrived[0]?.headers).toMatchObject({ authorization: `Bearer ${token}`, "content-type": "application/json" });
    expect(arrived[0]?.headers["idempotency-key"]).toMatch(/./);
    expect(arrived[1]?.headers["idempotency-key"]).toBe(arrived[0]?.headers["idempotency-key"]);
  });

  test("answers errors as openapi-fetch does, without the credential", async () => {
    const { paths } = await givenPaths({ status: 404, body: errorBody("not_found", `Bearer ${token}`) });

    const { data, error } = await paths.GET("/v1/events/{eventKey}", { params: { path: { eventKey: "k" } } });

    expect(data).toBeUndefined();
    expect(error?.error).toMatchObject({ code: "not_found", message: "Bearer [redacted]" });
  });

  test("takes middleware of openapi-fetch, which sees real requests", async () => {
    const { paths, arrived } = await givenPaths({ body: { data: [] } });
    paths.use({
      onRequest({ request }) {
        request.headers.set("x-team", "a");
        return request;
      },
    });

    await paths.GET("/v1/events", { params: { query: { limit: 1, status: "waiting" } } });

    expect(arrived[0]?.url).toBe("/v1/events?limit=1&status=waiting");
    expect(arrived[0]?.headers["x-team"]).toBe("a");
  });

  test("refuses a path value that leads elsewhere", async () => {
    const { paths, arrived } = await givenPaths({});

    const call = paths.DELETE("/v1/events/{eventKey}", { params: { path: { eventKey: ".." } } });

    await expect(call).rejects.toMatchObject({ _tag: "ValidationError", field: "pathParams.eventKey" });
    expect(arrived).toEqual([]);
  });

  test("ends a call when its signal is aborted", async () => {
    const { paths } = await givenPaths(() => {});
    const abort = new AbortController();

    const call = paths.GET("/v1/events", { signal: abort.signal });
    abort.abort();

    await expect(call).rejects.toMatchObject({ _tag: "AbortError" });
  });

  test("leaves the body of a stream to be read, and an abort ends it", async () => {
    const { paths } = await givenPaths((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("event: keepalive\ndata: {}\n\n");
    });
    const abort = new AbortController();

    const { data } = await paths.GET("/v1/events/{eventKey}/stream", {
      params: { path: { eventKey: "k" } },
      parseAs: "stream",
      signal: abort.signal,
    });
    const reader = data?.getReader();
    const first = await reader?.read();
    abort.abort();

    expect(new TextDecoder().decode(first?.value)).toContain("keepalive");
    await expect(reader?.read()).rejects.toThrow();
  });
});
