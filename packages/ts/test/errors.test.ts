import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { ApiError, ConnectionError, StraitError } from "../src/errors.ts";
import { isStraitError, NotFoundError } from "../src/status-errors.ts";
import { apiKey, givenClient } from "./fixture/client.ts";
import { errorBody, givenClosedPort, givenServer, type Reply } from "./fixture/server.ts";

async function givenFailure(reply: Reply): Promise<unknown> {
  const { baseUrl } = await givenServer(reply);
  const call = givenClient(baseUrl, { retries: 0 }).getV1EventsByEventKey({ pathParams: { eventKey: "k" } });
  return call.catch((error: unknown) => error);
}

describe("an answer that is an error", () => {
  test.each([
    [400, "BadRequestError"],
    [401, "UnauthorizedError"],
    [403, "ForbiddenError"],
    [404, "NotFoundError"],
    [409, "ConflictError"],
    [413, "PayloadTooLargeError"],
    [415, "UnsupportedMediaTypeError"],
    [422, "UnprocessableError"],
    [429, "RateLimitedError"],
    [500, "ServerError"],
    [503, "ServerError"],
    [418, "UnexpectedStatusError"],
  ])("of status %i is a %s", async (status, tag) => {
    const error = await givenFailure({ status, body: errorBody("some_code", "that will not do") });

    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ _tag: tag, name: tag, status, code: "some_code" });
    expect(String(error)).toBe(`${tag}: getV1EventsByEventKey: ${status} some_code: that will not do [req_1]`);
    expect((error as Error).stack).toMatch(new RegExp(`^${tag}: `));
  });

  test("says all that the answer said", async () => {
    const body = errorBody("not_found", "no such trigger");

    const error = await givenFailure({ status: 404, body, headers: { "x-served-by": "node-7" } });

    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({
      operationId: "getV1EventsByEventKey",
      attempts: 1,
      requestId: "req_1",
      retryAfterMs: undefined,
      body,
    });
    expect((error as ApiError).headers.get("x-served-by")).toBe("node-7");
  });

  test("keeps a body that is not JSON as text, and finds the request id in the headers", async () => {
    const error = await givenFailure({
      status: 502,
      body: "<h1>Bad gateway</h1>",
      headers: { "x-request-id": "req_2" },
    });

    expect(error).toMatchObject({ status: 502, code: undefined, body: "<h1>Bad gateway</h1>", requestId: "req_2" });
  });

  test.each([[""], ["null"], ["[]"], ['{"error":"down"}'], ['{"error":{"code":7}}']])(
    "survives the body %j",
    async (body) => {
      expect(await givenFailure({ status: 500, body })).toMatchObject({ _tag: "ServerError", code: undefined });
    },
  );

  test("is what a redirect is, with the place to go instead", async () => {
    const error = await givenFailure({ status: 301, headers: { location: "https://strait.dev/v1/events/k" } });

    expect(error).toMatchObject({ _tag: "UnexpectedStatusError", status: 301 });
    expect(String(error)).toContain("https://strait.dev/v1/events/k");
  });

  test("has a JSON form for logs", async () => {
    const error = await givenFailure({ status: 409, body: errorBody("conflict", "it is received") });

    expect(JSON.parse(JSON.stringify(error))).toEqual({
      _tag: "ConflictError",
      message: "getV1EventsByEventKey: 409 conflict: it is received [req_1]",
      operationId: "getV1EventsByEventKey",
      attempts: 1,
      status: 409,
      code: "conflict",
      requestId: "req_1",
      body: errorBody("conflict", "it is received"),
    });
  });
});

describe("a success that is not JSON", () => {
  test.each([
    ["<html>", "a body that is not JSON (text/html)"],
    ["", "no body"],
    ['{"data":', "a body that is not JSON (text/html)"],
  ])("with the body %j is a DecodeError", async (body, what) => {
    const error = await givenFailure({ body, headers: { "content-type": "text/html", "x-request-id": "req_3" } });

    expect(error).toMatchObject({ _tag: "DecodeError", status: 200, body, requestId: "req_3", attempts: 1 });
    expect(String(error)).toContain(what);
  });
});

describe("an error of this package", () => {
  test("is recognized without instanceof, so that two copies of the package can meet", () => {
    const error = new ConnectionError("x", { operationId: "getHealth", attempts: 1 });
    const fromAnotherCopy = Object.assign(Object.create({ [Symbol.for("@strait/ts/error")]: true }), { attempts: 1 });

    expect(isStraitError(error)).toBe(true);
    expect(isStraitError(fromAnotherCopy)).toBe(true);
    expect(error).toBeInstanceOf(StraitError);
  });

  test.each([[new Error("x")], [new TypeError("x")], [null], [undefined], ["x"], [{ _tag: "NotFoundError" }]])(
    "is not %s",
    (value) => {
      expect(isStraitError(value)).toBe(false);
    },
  );
});

describe("the credential", () => {
  const echo = `you sent Bearer ${apiKey}!`;

  test.each<[string, Reply]>([
    [
      "the body of an error",
      { status: 400, body: { error: { code: "x", message: echo, details: { [apiKey]: [echo] } } } },
    ],
    ["a text", { status: 502, body: echo }],
    ["a header", { status: 302, headers: { location: `https://strait.dev/?token=${apiKey}` } }],
    ["a page that is not JSON", { status: 200, body: echo, headers: { "content-type": apiKey } }],
    ["a page that is nothing else", { status: 200, body: apiKey }],
  ])("is taken out of an error when %s repeats it", async (_where, reply) => {
    const error = await givenFailure(reply);

    expect(JSON.stringify(error)).toContain("[redacted]");
    for (const shown of [JSON.stringify(error), String(error), inspect(error, { depth: 9, showHidden: true })]) {
      expect(shown).not.toContain(apiKey);
    }
  });

  test("is not in an error of the connection", async () => {
    const client = givenClient(await givenClosedPort(), { retries: 0 });

    const error: unknown = await client.getV1Events().catch((caught: unknown) => caught);

    expect(error).toBeInstanceOf(ConnectionError);
    expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain(apiKey);
  });
});
