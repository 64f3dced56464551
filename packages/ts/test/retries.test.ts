import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { systemClock } from "../src/retry.ts";
import { fakeClock, givenClient } from "./fixture/client.ts";
import { errorBody, givenClosedPort, givenServer } from "./fixture/server.ts";

const unavailable = { status: 503, body: errorBody("unavailable", "try later") };
const send = { pathParams: { eventKey: "k" }, body: {} };

describe("a call that fails for the moment", () => {
  test("is tried twice more, and says so when it gives up", async () => {
    const { baseUrl, arrived } = await givenServer(unavailable);
    const clock = fakeClock();

    await expect(givenClient(baseUrl, { clock }).getV1Events()).rejects.toMatchObject({
      _tag: "ServerError",
      status: 503,
      attempts: 3,
    });
    expect(arrived).toHaveLength(3);
    expect(clock.slept).toEqual([250, 500]);
  });

  test.each([408, 425, 429, 500, 502, 503, 504])("with %i resolves when the next attempt succeeds", async (status) => {
    const { baseUrl, arrived } = await givenServer({ status }, { body: { data: [] } });

    expect(await givenClient(baseUrl).getV1Events()).toEqual({ data: [] });
    expect(arrived).toHaveLength(2);
  });

  test("is tried again when the connection breaks before or within the answer", async () => {
    const { baseUrl, arrived } = await givenServer(
      (response) => response.destroy(),
      (response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        response.write('{"data":', () => response.destroy());
      },
      { body: { data: [] } },
    );

    expect(await givenClient(baseUrl).getV1Events()).toEqual({ data: [] });
    expect(arrived).toHaveLength(3);
  });

  test("is tried again when nobody listens", async () => {
    const clock = fakeClock();

    await expect(givenClient(await givenClosedPort(), { clock }).getV1Events()).rejects.toMatchObject({
      _tag: "ConnectionError",
      attempts: 3,
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(clock.slept).toHaveLength(2);
  });

  test.each([400, 401, 403, 404, 409, 413, 422])("is not tried again when %i says that it is final", async (status) => {
    const { baseUrl, arrived } = await givenServer({ status });

    await expect(givenClient(baseUrl).getV1Events()).rejects.toMatchObject({ status, attempts: 1 });
    expect(arrived).toHaveLength(1);
  });

  test("is sent once when retries is 0, for the client or for the call", async () => {
    const { baseUrl, arrived } = await givenServer(unavailable);

    await expect(givenClient(baseUrl, { retries: 0 }).getV1Events()).rejects.toMatchObject({ attempts: 1 });
    await expect(givenClient(baseUrl).getV1Events({ retries: 0 })).rejects.toMatchObject({ attempts: 1 });
    await expect(givenClient(baseUrl, { retries: 0 }).getV1Events({ retries: 1 })).rejects.toMatchObject({
      attempts: 2,
    });
    expect(arrived).toHaveLength(4);
  });

  test("gives the connection of a discarded answer back", async () => {
    const canceled: number[] = [];
    let attempts = 0;
    const client = givenClient("https://strait.dev", {
      fetch: async () => {
        const attempt = ++attempts;
        const body = new ReadableStream({ cancel: () => void canceled.push(attempt) });
        return attempt < 3 ? new Response(body, { status: 503 }) : Response.json({});
      },
    });

    await client.getV1Events();

    expect(canceled).toEqual([1, 2]);
  });
});

describe("a POST", () => {
  test("carries one idempotency key on all its attempts, and another call another one", async () => {
    const { baseUrl, arrived } = await givenServer(unavailable, unavailable, {});
    const client = givenClient(baseUrl);

    await client.postV1EventsByEventKeySend(send);
    await client.postV1EventsByEventKeySend(send);

    const keys = arrived.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toEqual([keys[0], keys[0], keys[0], expect.stringMatching(/^\d+(-\d+){3}$/)]);
    expect(keys[3]).not.toBe(keys[0]);
    expect(arrived.map(({ body }) => body)).toEqual(["{}", "{}", "{}", "{}"]);
  });

  test("carries the caller's key, as an option or as a header", async () => {
    const { baseUrl, arrived } = await givenServer({});
    const client = givenClient(baseUrl);

    await client.postV1EventsByEventKeySend({ ...send, idempotencyKey: "order-1" });
    await client.postV1EventsByEventKeySend({ ...send, headers: { "Idempotency-Key": "order-2" } });
    await client.postV1EventsByEventKeySend({ ...send, headers: { "X-Idempotency-Key": "order-3" } });

    expect(arrived.map(({ headers }) => headers["idempotency-key"])).toEqual(["order-1", "order-2", undefined]);
    expect(arrived[2]?.headers["x-idempotency-key"]).toBe("order-3");
  });

  test("is never repeated without a key", async () => {
    const { baseUrl, arrived } = await givenServer(unavailable);

    const call = givenClient(baseUrl).postV1EventsByEventKeySend({ ...send, idempotencyKey: false });

    await expect(call).rejects.toMatchObject({ status: 503, attempts: 1 });
    expect(arrived).toHaveLength(1);
    expect(arrived[0]?.headers).not.toHaveProperty("idempotency-key");
  });

  test.each(["", "x".repeat(257), "a\nb", "✓"])("refuses %j as its key", async (idempotencyKey) => {
    const { baseUrl } = await givenServer({});

    await expect(givenClient(baseUrl).postV1EventsByEventKeySend({ ...send, idempotencyKey })).rejects.toMatchObject({
      _tag: "ValidationError",
      field: "idempotencyKey",
    });
  });
});

test("a DELETE is repeated, a PATCH is not", async () => {
  const { baseUrl } = await givenServer(unavailable);
  const client = givenClient(baseUrl);

  await expect(client.deleteV1EventsByEventKey({ pathParams: { eventKey: "k" } })).rejects.toMatchObject({
    attempts: 3,
  });
  await expect(client.patchV1JobsByJobID({ pathParams: { jobID: "j" }, body: {} })).rejects.toMatchObject({
    attempts: 1,
  });
});

describe("Retry-After", () => {
  test("sets the wait", async () => {
    const { baseUrl } = await givenServer({ status: 429, headers: { "retry-after": "7" } }, {});
    const clock = fakeClock();

    await givenClient(baseUrl, { clock }).getV1Events();

    expect(clock.slept).toEqual([7_000]);
  });

  test("above the cap fails at once, with its value on the error", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 429, headers: { "retry-after": "61" } });
    const clock = fakeClock();

    await expect(givenClient(baseUrl, { clock }).getV1Events()).rejects.toMatchObject({
      _tag: "RateLimitedError",
      retryAfterMs: 61_000,
      attempts: 1,
    });
    expect(arrived).toHaveLength(1);
    expect(clock.slept).toEqual([]);
  });
});

describe("time", () => {
  const silent = () => {};
  const stalled = { "content-type": "application/json" };

  test("of an attempt is limited, and an attempt that took too long is repeated", async () => {
    const { baseUrl, arrived } = await givenServer(silent, { body: { data: [] } });

    expect(await givenClient(baseUrl).getV1Events({ timeoutMs: 40 })).toEqual({ data: [] });
    expect(arrived).toHaveLength(2);
  });

  test("of an attempt covers the body too", async () => {
    const { baseUrl } = await givenServer((response) => {
      response.writeHead(200, stalled);
      response.write('{"data":');
    });

    await expect(givenClient(baseUrl).getV1Events({ timeoutMs: 20, retries: 0 })).rejects.toMatchObject({
      _tag: "TimeoutError",
      name: "TimeoutError",
      limit: "timeoutMs",
      attempts: 1,
    });
  });

  test("of the whole call ends the attempt that is under way", async () => {
    const { baseUrl } = await givenServer(silent);

    await expect(givenClient(baseUrl).getV1Events({ deadlineMs: 20 })).rejects.toMatchObject({
      _tag: "TimeoutError",
      limit: "deadlineMs",
      attempts: 1,
    });
  });

  test("of the whole call is not spent on a wait that cannot end well", async () => {
    const { baseUrl } = await givenServer({ status: 503, headers: { "retry-after": "10" } });
    const clock = fakeClock();

    const call = givenClient(baseUrl, { clock, deadlineMs: 15_000 }).getV1Events();

    await expect(call).rejects.toMatchObject({ _tag: "ServerError", status: 503, attempts: 2 });
    expect(clock.slept).toEqual([10_000]);
  });

  test.each([{ timeoutMs: 0 }, { timeoutMs: 2 ** 31 }, { deadlineMs: Number.NaN }, { retries: -1 }])(
    "limits such as %j are refused before anything is sent",
    async (options) => {
      const { baseUrl, arrived } = await givenServer({});

      await expect(givenClient(baseUrl).getV1Events(options)).rejects.toMatchObject({
        _tag: "ValidationError",
        field: Object.keys(options)[0],
      });
      expect(arrived).toEqual([]);
    },
  );
});

describe("an abort", () => {
  test("before the call sends nothing", async () => {
    const { baseUrl, arrived } = await givenServer({});
    const reason = new Error("changed my mind");

    const call = givenClient(baseUrl).getV1Events({ signal: AbortSignal.abort(reason) });

    await expect(call).rejects.toMatchObject({ _tag: "AbortError", name: "AbortError", cause: reason, attempts: 0 });
    expect(arrived).toEqual([]);
  });

  test("ends the request that is under way", async () => {
    const controller = new AbortController();
    const { baseUrl, arrived } = await givenServer(() => controller.abort());

    const call = givenClient(baseUrl, { retries: 0 }).getV1Events({ signal: controller.signal });

    await expect(call).rejects.toMatchObject({ _tag: "AbortError", attempts: 1 });
    expect(arrived).toHaveLength(1);
  });

  test("ends the wait before the next attempt", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 503, headers: { "retry-after": "60" } });
    const controller = new AbortController();
    const clock = {
      ...systemClock,
      sleep(ms: number, signal: AbortSignal | undefined) {
        setTimeout(() => controller.abort(), 1);
        return systemClock.sleep(ms, signal);
      },
    };

    const call = givenClient(baseUrl, { clock }).getV1Events({ signal: controller.signal });

    await expect(call).rejects.toMatchObject({ _tag: "AbortError", attempts: 1 });
    expect(arrived).toHaveLength(1);
  });

  test("leaves no listener behind on a signal that outlives the call", async () => {
    const { baseUrl } = await givenServer(unavailable, {});
    const { signal } = new AbortController();

    await givenClient(baseUrl, { clock: { ...systemClock, random: () => 0 } }).getV1Events({ signal });

    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});
