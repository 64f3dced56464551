import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createClientFromConfigFile, createClientFromEnv } from "../src/node.ts";
import { givenServer } from "./fixture/server.ts";

const STRAIT_API_KEY = "strait_test_0123456789";
const STRAIT_BASE_URL = "https://strait.dev";

/** A file of that content, as text or as JSON. */
function givenFile(content: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), "strait-config-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "strait.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** The message of the `TypeError` that `make` throws. */
function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).not.toContain(STRAIT_API_KEY);
    return String(error);
  }
  return "not refused";
}

describe("a client from the environment", () => {
  test.each(["STRAIT_BASE_URL", "STRAIT_URL"])(
    "has its server from %s, its key, and the rest from its caller",
    async (name) => {
      const { baseUrl, arrived } = await givenServer({ body: { data: [] } });
      const env = { [name]: baseUrl, STRAIT_API_KEY: `${STRAIT_API_KEY}\n`, STRAIT_TIMEOUT_MS: "5000" };

      await createClientFromEnv({ env, headers: { "x-team": "a" } }).operationsPromise.getV1Events();

      expect(arrived[0]?.headers).toMatchObject({ authorization: `Bearer ${STRAIT_API_KEY}`, "x-team": "a" });
    },
  );

  test.each([
    [{ STRAIT_API_KEY }, "STRAIT_BASE_URL is not set; set it"],
    [{ STRAIT_BASE_URL, STRAIT_API_KEY: " " }, "STRAIT_API_KEY is not set; set it"],
    [{ STRAIT_BASE_URL, STRAIT_API_KEY, STRAIT_TIMEOUT_MS: "5s" }, "STRAIT_TIMEOUT_MS must be a whole number"],
    [{ STRAIT_BASE_URL, STRAIT_API_KEY, STRAIT_TIMEOUT_MS: "0" }, "timeoutMs is STRAIT_TIMEOUT_MS"],
    [{ STRAIT_URL: "strait.dev", STRAIT_API_KEY }, "baseUrl is STRAIT_URL, auth.token is STRAIT_API_KEY"],
    [{ STRAIT_BASE_URL, STRAIT_API_KEY: "two words" }, "auth.token is STRAIT_API_KEY"],
  ])("is refused when the environment is %j", (env, message) => {
    expect(refusal(() => createClientFromEnv({ env }))).toContain(message);
  });
});

describe("a client from strait.json", () => {
  test("has its server from there and its key from the environment", async () => {
    const { baseUrl, arrived } = await givenServer({ body: { data: [] } });
    const path = givenFile({
      project: { id: "p" },
      sdk: { base_url: baseUrl, timeout_ms: 5_000, auth_type: "apiKey" },
    });

    await createClientFromConfigFile({ path, env: { STRAIT_API_KEY } }).operationsPromise.getV1Events();

    expect(arrived[0]?.headers).toMatchObject({ authorization: `Bearer ${STRAIT_API_KEY}` });
  });

  test("takes what the environment has before what the file has, and what its caller says before both", async () => {
    const { baseUrl } = await givenServer(() => {});
    const path = givenFile({ sdk: { base_url: "http://127.0.0.1:1", timeout_ms: 60_000 } });
    const env = { STRAIT_API_KEY, STRAIT_BASE_URL: baseUrl, STRAIT_TIMEOUT_MS: "40000" };

    const client = createClientFromConfigFile({ path, env, timeoutMs: 50, retries: 0 });

    await expect(client.operationsPromise.getV1Events()).rejects.toMatchObject({ _tag: "TimeoutError" });
  });

  test("waits as long as the file says when nobody else says", async () => {
    const { baseUrl } = await givenServer(() => {});
    const path = givenFile({ sdk: { base_url: baseUrl, timeout_ms: 50 } });

    const client = createClientFromConfigFile({ path, env: { STRAIT_API_KEY }, retries: 0 });

    await expect(client.operationsPromise.getV1Events()).rejects.toMatchObject({ _tag: "TimeoutError" });
  });

  test.each([
    ['{\n"sdk": {\n"base_url": x}}', "strait.json: is not JSON; look for"],
    [[], ": must be an object"],
    [{ sdk: "https://strait.dev" }, "sdk must be an object"],
    [{ sdk: { baseUrl: STRAIT_BASE_URL } }, "sdk.baseUrl is not a field; there are base_url, timeout_ms, auth_type"],
    [{ sdk: { api_key: STRAIT_API_KEY } }, "sdk.api_key does not belong into a file; set STRAIT_API_KEY"],
    [{ sdk: { base_url: 8080 } }, "sdk.base_url must be a string"],
    [{ sdk: { base_url: "strait.dev" } }, /baseUrl is sdk\.base_url of .*strait\.json, auth\.token/],
    [{ sdk: { timeout_ms: "5s" } }, "sdk.timeout_ms must be a whole number"],
    [{ sdk: { auth_type: "runToken" } }, 'sdk.auth_type must be "bearer" or "apiKey"'],
    [{}, /STRAIT_BASE_URL is not set; set it .*, or sdk\.base_url in .*strait\.json/],
  ])("is refused when the file is %j", (content, message) => {
    const path = givenFile(content);

    expect(refusal(() => createClientFromConfigFile({ path, env: { STRAIT_API_KEY } }))).toMatch(message);
  });

  test("is refused when there is no file, or none that can be read", () => {
    const env = { STRAIT_API_KEY, STRAIT_BASE_URL };

    expect(refusal(() => createClientFromConfigFile({ env }))).toContain(
      "strait.json: does not exist in the working directory",
    );
    expect(refusal(() => createClientFromConfigFile({ env, path: tmpdir() }))).toContain("cannot be read (EISDIR)");
  });
});
