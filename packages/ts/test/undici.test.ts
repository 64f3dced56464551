import { Agent, request } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ClientOptions } from "../src/options.ts";
import { undiciFetch } from "../src/undici.ts";
import { givenClient, givenSurfaces } from "./fixture/client.ts";
import { errorBody, givenClosedPort, givenServer } from "./fixture/server.ts";

/** A client over undici, with a dispatcher that ends with the test. */
function givenUndici(options: Agent.Options = {}): Pick<ClientOptions, "fetch"> & { readonly dispatcher: Agent } {
  const dispatcher = new Agent(options);
  onTestFinished(() => dispatcher.destroy());
  return { dispatcher, fetch: undiciFetch((url, init) => request(url, { ...init, dispatcher })) };
}

const send = { pathParams: { eventKey: "k" }, body: { payload: 1 } };

describe("a client on undici", () => {
  test("sends what a client on fetch sends, and parses the answer", async () => {
    const { baseUrl, arrived } = await givenServer({ body: { status: "received" }, headers: { "x-served-by": "a" } });
    const client = givenSurfaces(baseUrl, { fetch: givenUndici().fetch });

    const answer = await client.operations.postV1EventsByEventKeySend?.(send);

    expect(answer).toMatchObject({ ok: true, data: { status: "received" } });
    expect(answer?.response).toBeInstanceOf(Response);
    expect(answer?.response.headers.get("x-served-by")).toBe("a");
    expect(arrived[0]).toMatchObject({ method: "POST", url: "/v1/events/k/send", body: '{"payload":1}' });
    expect(arrived[0]?.headers).toMatchObject({
      authorization: "Bearer strait_test_0123456789",
      "content-type": "application/json",
      "idempotency-key": expect.any(String),
    });
  });

  test("keeps its connection from one call to the next", async () => {
    const { baseUrl } = await givenServer({ body: { data: [] } });
    const { dispatcher, fetch } = givenUndici({ connections: 1 });
    const connected: string[] = [];
    dispatcher.on("connect", (origin) => connected.push(origin.origin));

    for (let call = 0; call < 5; call++) await givenClient(baseUrl, { fetch }).getV1Events();

    expect(connected).toEqual([baseUrl]);
  });

  test("gives the connection of an answer back that nobody reads, and repeats what is worth it", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 503, body: "x".repeat(100_000) }, { body: { data: [] } });

    expect(await givenClient(baseUrl, { fetch: givenUndici().fetch }).getV1Events()).toEqual({ data: [] });
    expect(arrived).toHaveLength(2);
  });

  test("throws the same errors", async () => {
    const refusing = await givenServer({ status: 404, body: errorBody("not_found", "no such trigger") });
    const { fetch } = givenUndici();

    await expect(givenClient(refusing.baseUrl, { fetch }).getV1Events()).rejects.toMatchObject({
      _tag: "NotFoundError",
      requestId: "req_1",
    });
    await expect(givenClient(await givenClosedPort(), { fetch, retries: 0 }).getV1Events()).rejects.toMatchObject({
      _tag: "ConnectionError",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  test("resolves with undefined at a 204", async () => {
    const { baseUrl } = await givenServer({ status: 204 });

    expect(
      await givenClient(baseUrl, { fetch: givenUndici().fetch }).deleteV1EventsByEventKey({ ...send, body: undefined }),
    ).toBe(undefined);
  });

  test("ends at an abort and at its time limit, before the answer and within it", async () => {
    const { baseUrl } = await givenServer(
      () => {},
      (response) => void response.writeHead(200).write("{"),
    );
    const client = givenClient(baseUrl, { fetch: givenUndici().fetch, retries: 0 });
    const controller = new AbortController();
    const reason = new Error("changed my mind");

    const aborted = client.getV1Events({ signal: controller.signal });
    controller.abort(reason);

    await expect(aborted).rejects.toMatchObject({ _tag: "AbortError", cause: reason });
    await expect(client.getV1Events({ timeoutMs: 30 })).rejects.toMatchObject({ _tag: "TimeoutError" });
  });

  test("reads streams", async () => {
    const state = (status: string): string => `id: ${status}\nevent: status\ndata: {"status":"${status}"}\n\n`;
    const { baseUrl, arrived } = await givenServer(
      (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).write(state("waiting"));
        setTimeout(() => response.destroy(), 5);
      },
      (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(`${state("received")}event: end\ndata: {}\n\n`);
      },
    );
    const { stream } = givenSurfaces(baseUrl, { fetch: givenUndici().fetch });
    const seen: unknown[] = [];

    for await (const { data } of stream.getV1EventsByEventKeyStream?.({ pathParams: { eventKey: "k" } }) ?? []) {
      seen.push(data);
    }

    expect(seen).toEqual([{ status: "waiting" }, { status: "received" }]);
    expect(arrived[1]?.headers["last-event-id"]).toBe("waiting");
  });
});

describe("an answer of undici", () => {
  async function givenAnswer(): Promise<Response> {
    const { baseUrl } = await givenServer({ body: { a: 1 }, headers: { "set-cookie": "a=1" } });
    const { signal } = new AbortController();
    const init = { method: "GET", headers: {}, body: null, redirect: "manual", signal } as const;
    return (givenUndici().fetch ?? fetch)(baseUrl, init);
  }

  test.each<[string, (response: Response) => Promise<unknown>]>([
    ["text", (response) => response.text()],
    ["JSON", async (response) => JSON.stringify(await response.json())],
    ["bytes", async (response) => new TextDecoder().decode(await response.arrayBuffer())],
    ["a blob", async (response) => (await response.blob()).text()],
    ["a stream", (response) => new Response(response.body).text()],
    ["a copy", async (response) => (await response.clone().text()) && response.text()],
  ])("can be read as %s", async (_as, read) => {
    const response = await givenAnswer();

    expect(await read(response)).toBe('{"a":1}');
    expect(response.headers.get("set-cookie")).toBe("a=1");
  });
});
