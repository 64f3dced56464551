import { describe, expect, test } from "vitest";
import { NotFoundError } from "../src/status-errors.ts";
import { fakeClock, givenSurfaces } from "./fixture/client.ts";
import { errorBody, givenClosedPort, givenServer } from "./fixture/server.ts";

const key = { pathParams: { eventKey: "k" } };

describe("an operation that answers", () => {
  test("resolves with the body of a success and the response it came in", async () => {
    const { baseUrl } = await givenServer({ body: { id: "trg_1" }, headers: { "x-request-id": "req_7" } });

    const answer = await givenSurfaces(baseUrl).operations.getV1EventsByEventKey?.(key);

    expect(answer).toMatchObject({ ok: true, data: { id: "trg_1" }, error: undefined });
    expect(answer?.response.headers.get("x-request-id")).toBe("req_7");
  });

  test("does not throw for an error of the server, and gives what operationsPromise would have thrown", async () => {
    const { baseUrl } = await givenServer({ status: 404, body: errorBody("not_found", "nobody waits") });

    const answer = await givenSurfaces(baseUrl).operations.getV1EventsByEventKey?.(key);

    expect(answer).toMatchObject({
      ok: false,
      data: undefined,
      error: { status: 404, code: "not_found", attempts: 1 },
    });
    expect(answer?.error).toBeInstanceOf(NotFoundError);
    expect(answer?.response.status).toBe(404);
  });

  test("gives the last error when its retries are used up", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 503, body: errorBody("unavailable", "later") });

    const answer = await givenSurfaces(baseUrl).operations.getV1EventsByEventKey?.(key);

    expect(answer?.error).toMatchObject({ _tag: "ServerError", attempts: 3 });
    expect(arrived).toHaveLength(3);
  });

  test("throws when there is no answer", async () => {
    const surfaces = givenSurfaces(await givenClosedPort(), { retries: 0 });

    await expect(surfaces.operations.getV1EventsByEventKey?.(key)).rejects.toMatchObject({ _tag: "ConnectionError" });
    await expect(surfaces.operations.getV1EventsByEventKey?.()).rejects.toMatchObject({ _tag: "ValidationError" });
  });
});

test("a conflict that says when it will be over is tried again", async () => {
  const { baseUrl } = await givenServer({ status: 409, headers: { "retry-after": "3" } }, { body: { id: "trg_1" } });
  const clock = fakeClock();

  const answer = await givenSurfaces(baseUrl, { clock }).operations.getV1EventsByEventKey?.(key);

  expect(answer?.ok).toBe(true);
  expect(clock.slept).toEqual([3_000]);
});
