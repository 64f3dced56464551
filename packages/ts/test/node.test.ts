import { describe, expect, test } from "vitest";
import { createClientFromEnv } from "../src/node.ts";
import { givenServer } from "./fixture/server.ts";

describe("a client from the environment", () => {
  test("has its server and its key from there, and the other settings from its caller", async () => {
    const { baseUrl, arrived } = await givenServer({ body: { data: [] } });
    const env = { STRAIT_BASE_URL: baseUrl, STRAIT_API_KEY: "strait_test_0123456789\n", STRAIT_TIMEOUT_MS: "5000" };

    await createClientFromEnv({ env, headers: { "x-team": "a" } }).operationsPromise.getV1Events();

    expect(arrived[0]?.headers).toMatchObject({ authorization: "Bearer strait_test_0123456789", "x-team": "a" });
  });

  test.each([
    [{ STRAIT_API_KEY: "strait_test_0123456789" }, "STRAIT_BASE_URL is not set"],
    [{ STRAIT_BASE_URL: "https://strait.dev", STRAIT_API_KEY: " " }, "STRAIT_API_KEY is not set"],
    [{ STRAIT_TIMEOUT_MS: "5s" }, "STRAIT_TIMEOUT_MS must be a whole number"],
  ])("is refused when the environment is %j", (env, message) => {
    expect(() => createClientFromEnv({ env })).toThrow(TypeError);
    expect(() => createClientFromEnv({ env })).toThrow(message);
  });
});
