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
    ["no options", undefined, "options must be an object"],
    ["a missing base URL", { auth }, "baseUrl is missing or empty"],
    ["an empty base URL", { auth, baseUrl: " " }, "baseUrl is missing or empty"],
    ["a relative base URL", { auth, baseUrl: "/api" }, "baseUrl is not an absolute URL"],
    ["a base URL without a scheme", { auth, baseUrl: "strait.dev" }, "baseUrl is not an absolute URL"],
    ["a base URL of another scheme", { auth, baseUrl: "ftp://strait.dev" }, 'baseUrl must start with "https://"'],
    ["a base URL with a password", { auth, baseUrl: `https://me:${secret}@strait.dev` }, "baseUrl must not hold"],
    ["a base URL with a query", { auth, baseUrl: "https://strait.dev/?a=1" }, "baseUrl must end with its path"],
    ["a base URL with a fragment", { auth, baseUrl: "https://strait.dev/#a" }, "baseUrl must end with its path"],
    ["a missing credential", { baseUrl }, "auth is missing"],
    ["an unknown kind of credential", { baseUrl, auth: { type: "basic", token: secret } }, "auth.type must be"],
    ["a missing token", { baseUrl, auth: { type: "bearer" } }, "auth.token is missing or empty"],
    ["an empty token", { baseUrl, auth: { type: "runToken", token: "" } }, "auth.token is missing or empty"],
    [
      "a token with a line break",
      { baseUrl, auth: { type: "bearer", token: `${secret}\n` } },
      "auth.token holds a space",
    ],
    ["a token that no header carries", { baseUrl, auth: { type: "bearer", token: "schlüssel" } }, "auth.token holds"],
    ["an empty project", { baseUrl, auth: { type: "internalSecret", token: secret, projectId: "" } }, "auth.projectId"],
    ["negative retries", { baseUrl, auth, retries: -1 }, "retries must be a whole number"],
    ["a time limit of nothing", { baseUrl, auth, timeoutMs: 0 }, "timeoutMs must be a number of milliseconds"],
    ["a time limit that is text", { baseUrl, auth, deadlineMs: "5s" }, "deadlineMs must be a number of milliseconds"],
    ["a time limit that no timer can keep", { baseUrl, auth, timeoutMs: 2 ** 31 }, "timeoutMs must be"],
    ["an endless Retry-After", { baseUrl, auth, maxRetryAfterMs: Number.NaN }, "maxRetryAfterMs must be"],
    ["a fetch that is none", { baseUrl, auth, fetch: "fetch" }, "fetch must be a function"],
    ["headers that are none", { baseUrl, auth, headers: "X-Team: a" }, "headers must be an object"],
    ["a header with a line break", { baseUrl, auth, headers: { "X-Team": `${secret}\n` } }, 'headers["X-Team"] holds'],
    ["a header that is not text", { baseUrl, auth, headers: { "X-Team": 1 } }, 'headers["X-Team"] must be a string'],
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
