import { describe, expect, test } from "vitest";
import { type ClientOptions, toConfig } from "../src/options.ts";

const secret = "strait_live_abcdef";
const auth = { type: "bearer", token: secret } as const;
const baseUrl = "https://strait.dev";

/** What a caller without a type checker may pass. */
function configure(options: unknown): unknown {
  return toConfig(options as ClientOptions);
}

describe("createClient refuses", () => {
  test.each([
    ["no options", undefined, "baseUrl must be a full URL"],
    ["a missing base URL", { auth }, "baseUrl must be a full URL"],
    ["an empty base URL", { auth, baseUrl: " " }, "baseUrl must be a full URL"],
    ["a relative base URL", { auth, baseUrl: "/api" }, "baseUrl must be a full URL"],
    ["a base URL without a scheme", { auth, baseUrl: "strait.dev" }, "baseUrl must be a full URL"],
    ["a base URL of another scheme", { auth, baseUrl: "ftp://strait.dev" }, "baseUrl must be a full URL"],
    ["a base URL with a password", { auth, baseUrl: `https://me:${secret}@strait.dev` }, "baseUrl must be a full URL"],
    ["a base URL with a query", { auth, baseUrl: "https://strait.dev/?a=1" }, "baseUrl must be a full URL"],
    ["a base URL with a fragment", { auth, baseUrl: "https://strait.dev/#a" }, "baseUrl must be a full URL"],
    ["a missing credential", { baseUrl }, "auth.type must be one of bearer,runToken,internalSecret"],
    ["an unknown kind of credential", { baseUrl, auth: { type: "basic", token: secret } }, "auth.type must be"],
    ["a missing token", { baseUrl, auth: { type: "bearer" } }, "auth.token must be ASCII text"],
    ["an empty token", { baseUrl, auth: { type: "runToken", token: "" } }, "auth.token must be ASCII text"],
    [
      "a token with a line break",
      { baseUrl, auth: { type: "bearer", token: `${secret}\n` } },
      "auth.token must be ASCII text",
    ],
    [
      "a token that no header carries",
      { baseUrl, auth: { type: "bearer", token: "schlüssel" } },
      "auth.token must be ASCII text",
    ],
    ["an empty project", { baseUrl, auth: { type: "internalSecret", token: secret, projectId: "" } }, "auth.projectId"],
    ["negative retries", { baseUrl, auth, retries: -1 }, "retries must be a whole number from 0"],
    ["half a retry", { baseUrl, auth, retries: 1.5 }, "retries must be a whole number from 0"],
    ["retries that are no number", { baseUrl, auth, retries: Number.NaN }, "retries must be a whole number from 0"],
    ["a time limit of nothing", { baseUrl, auth, timeoutMs: 0 }, "timeoutMs must be a number from 1"],
    ["a time limit that is text", { baseUrl, auth, deadlineMs: "5s" }, "deadlineMs must be a number from 1"],
    ["a time limit that no timer can keep", { baseUrl, auth, timeoutMs: 2 ** 31 }, "timeoutMs must be"],
    ["an endless Retry-After", { baseUrl, auth, maxRetryAfterMs: Number.NaN }, "maxRetryAfterMs must be"],
    ["a fetch that is none", { baseUrl, auth, fetch: "fetch" }, "fetch must be a function"],
    ["a validator that is none", { baseUrl, auth, validator: "error" }, "validator must be made by createValidator"],
    ["headers that are none", { baseUrl, auth, headers: "X-Team: a" }, "headers must be an object"],
    [
      "a header with a line break",
      { baseUrl, auth, headers: { "X-Team": `${secret}\n` } },
      'headers["X-Team"] must be a valid name',
    ],
  ])("%s", (_what, options, message) => {
    expect(() => configure(options)).toThrow(TypeError);
    expect(() => configure(options)).toThrow(`createClient: ${message}`);
    expect(() => configure(options)).not.toThrow(secret);
  });
});

describe("createClient takes", () => {
  test.each([
    ["https://strait.dev", "https://strait.dev"],
    ["https://strait.dev/", "https://strait.dev"],
    ["HTTPS://Strait.dev:443//", "https://strait.dev"],
    ["http://127.0.0.1:8080/base/path/", "http://127.0.0.1:8080/base/path"],
    [" https://strait.dev ", "https://strait.dev"],
  ])("%j as the base URL %s", (given, expected) => {
    expect(toConfig({ baseUrl: given, auth }).baseUrl).toBe(expected);
  });

  test("defaults for all the rest", () => {
    expect(toConfig({ baseUrl, auth })).toMatchObject({
      retries: 2,
      timeoutMs: 30_000,
      maxRetryAfterMs: 60_000,
      deadlineMs: Number.POSITIVE_INFINITY,
    });
  });
});
