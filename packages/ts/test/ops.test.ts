import { describe, expect, expectTypeOf, test } from "vitest";
import type { EventTriggerPage } from "../src/index.ts";
import { connect, getHealth, getV1Events, postSdkV1RunsByRunIDHeartbeat } from "../src/ops.ts";
import { errorBody, givenServer } from "./fixture/server.ts";

const token = "strait_test_0123456789";

describe("a function of one operation", () => {
  test("calls it over a connection, with the credential and the retries of a client", async () => {
    const page = { data: [], next_cursor: null, has_more: false };
    const { baseUrl, arrived } = await givenServer({ status: 503, headers: { "retry-after-ms": "0" } }, { body: page });
    const strait = connect({ baseUrl, auth: { type: "bearer", token } });

    expect(await getV1Events(strait, { query: { limit: 1 } })).toEqual(page);
    expect(arrived.map(({ url }) => url)).toEqual(["/v1/events?limit=1", "/v1/events?limit=1"]);
    expect(arrived[0]?.headers.authorization).toBe(`Bearer ${token}`);
  });

  test("throws the error of an answer", async () => {
    const { baseUrl } = await givenServer({ status: 403, body: errorBody("forbidden", "no scope") });

    const call = getV1Events(connect({ baseUrl, auth: { type: "bearer", token } }));

    await expect(call).rejects.toMatchObject({ _tag: "ForbiddenError", operationId: "getV1Events" });
  });

  test("takes the connections that its operation accepts, and says what it answers", () => {
    const bearer = connect({ baseUrl: "https://strait.dev", auth: { type: "bearer", token } });
    const run = connect({ baseUrl: "https://strait.dev", auth: { type: "runToken", token } });
    const calls = () => {
      expectTypeOf(getV1Events(bearer)).resolves.toEqualTypeOf<EventTriggerPage>();
      void getHealth(run);
      // @ts-expect-error: the token of a run cannot list events
      void getV1Events(run);
      // @ts-expect-error: an API key cannot speak for a run
      void postSdkV1RunsByRunIDHeartbeat(bearer, { pathParams: { runID: "run_1" } });
      // @ts-expect-error: the input is missing
      void postSdkV1RunsByRunIDHeartbeat(run);
    };

    expect(calls).toBeTypeOf("function");
  });
});
