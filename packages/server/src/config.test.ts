import { describe, expect, test } from "vitest";
import { readConfig } from "./config.ts";
import type { Environment } from "./environment.ts";
import { StartupError } from "./startup-error.ts";

const production = {
  NODE_ENV: "production",
  DATABASE_URL: "postgresql://strait@db.internal/strait",
  INTERNAL_SECRET: "an internal secret",
  JWT_SIGNING_KEY: "0123456789abcdef0123456789abcdef",
};

function problemsOf(env: Environment): string[] {
  try {
    readConfig(env, "/project");
  } catch (error) {
    if (error instanceof StartupError) return error.message.split("\n");
    throw error;
  }
  return [];
}

describe("the configuration", () => {
  test("needs nothing in development", () => {
    expect(readConfig({}, "/project")).toEqual({
      development: true,
      mode: "all",
      log: { level: "info" },
      http: {
        host: "127.0.0.1",
        port: 8080,
        maxBodyBytes: 1_048_576,
        requestTimeoutMs: 30_000,
        keepaliveMs: 15_000,
        maxStreamsPerProject: 1_000,
        allowedOrigins: ["*"],
      },
      database: { url: undefined, maxConnections: 20 },
      worker: {
        concurrency: 256,
        drainTimeoutMs: 30_000,
        leaseMs: 30_000,
        heartbeatMs: 5_000,
        maxResultBytes: 1_048_576,
        allowPrivateEndpoints: true,
      },
      retention: { eventsMs: 2_592_000_000, auditMs: 31_536_000_000 },
      secrets: { internalSecret: undefined, jwtSigningKey: undefined },
      files: { dataDir: "/project/.strait", fallbackDir: "/var/lib/strait" },
      crashAt: undefined,
      warnings: [],
    });
  });

  test("takes every variable", () => {
    const config = readConfig(
      {
        ...production,
        MODE: "worker",
        LOG_LEVEL: "debug",
        HOST: "0.0.0.0",
        PORT: "0",
        MAX_REQUEST_BODY_SIZE: "2097152",
        REQUEST_TIMEOUT: "1m30s",
        SSE_KEEPALIVE_INTERVAL: "500ms",
        STRAIT_MAX_STREAMS_PER_PROJECT: "20000",
        CORS_ALLOWED_ORIGINS: "https://a.example, http://localhost:5173",
        DB_MAX_CONNS: "8",
        WORKER_CONCURRENCY: "10",
        WORKER_DRAIN_TIMEOUT: "5s",
        LEASE_DURATION: "3s",
        HEARTBEAT_INTERVAL: "1s",
        MAX_RESULT_SIZE: "4096",
        STRAIT_ALLOW_PRIVATE_ENDPOINTS: "true",
        EVENT_TRIGGER_RETENTION: "8760h",
        AUDIT_EVENT_RETENTION: "730d",
        STRAIT_DATA_DIR: "data",
      },
      "/project",
    );

    expect(config).toEqual({
      development: false,
      mode: "worker",
      log: { level: "debug" },
      http: {
        host: "0.0.0.0",
        port: 0,
        maxBodyBytes: 2_097_152,
        requestTimeoutMs: 90_000,
        keepaliveMs: 500,
        maxStreamsPerProject: 20_000,
        allowedOrigins: ["https://a.example", "http://localhost:5173"],
      },
      database: { url: production.DATABASE_URL, maxConnections: 8 },
      worker: {
        concurrency: 10,
        drainTimeoutMs: 5_000,
        leaseMs: 3_000,
        heartbeatMs: 1_000,
        maxResultBytes: 4_096,
        allowPrivateEndpoints: true,
      },
      retention: { eventsMs: 31_536_000_000, auditMs: 63_072_000_000 },
      secrets: { internalSecret: production.INTERNAL_SECRET, jwtSigningKey: production.JWT_SIGNING_KEY },
      files: { dataDir: "/project/data", fallbackDir: undefined },
      warnings: [],
    });
  });

  test.each<[string, Environment, boolean]>([
    ["nothing is said", {}, true],
    ["a database is named", { ...production, NODE_ENV: undefined }, false],
    ["a database is named for development", { ...production, NODE_ENV: "development" }, true],
    ["a database is named for tests", { ...production, NODE_ENV: "test" }, true],
    ["production is said", production, false],
  ])("is for development or not when %s", (_, env, development) => {
    expect(readConfig(env).development).toBe(development);
  });

  test.each<[string, Environment, boolean]>([
    ["in development on loopback", {}, true],
    ["in development on localhost", { HOST: "localhost" }, true],
    ["in development on IPv6 loopback", { HOST: "::1" }, true],
    ["in development in reach of others", { HOST: "0.0.0.0" }, false],
    ["in production", production, false],
    ["when told", { ...production, STRAIT_ALLOW_PRIVATE_ENDPOINTS: "1" }, true],
    ["when forbidden", { STRAIT_ALLOW_PRIVATE_ENDPOINTS: "FALSE" }, false],
  ])("allows private endpoints or not %s", (_, env, allowed) => {
    expect(readConfig(env).worker.allowPrivateEndpoints).toBe(allowed);
  });

  test.each<[Environment, number, readonly string[]]>([
    [{ EVENT_TRIGGER_RETENTION: "8760h" }, 365, []],
    [{ EVENT_TRIGGER_RETENTION: "90d" }, 90, []],
    [{ EVENT_TRIGGER_RETENTION_DAYS: "365" }, 365, []],
    [
      { EVENT_TRIGGER_RETENTION: "48h", EVENT_TRIGGER_RETENTION_DAYS: "365" },
      2,
      ["EVENT_TRIGGER_RETENTION_DAYS is not heard, since EVENT_TRIGGER_RETENTION is set; remove it"],
    ],
  ])("ST-22 keeps events for as long as %j says", (env, days, warnings) => {
    const config = readConfig(env);

    expect(config.retention.eventsMs).toBe(days * 86_400_000);
    expect(config.warnings).toEqual(warnings);
  });

  test("takes an order to crash only in a test", () => {
    const order = { STRAIT_CRASH_AT: "before-commit:12" };

    expect(readConfig({ ...order, NODE_ENV: "test" }).crashAt).toEqual({ point: "before-commit", passes: 12 });
    for (const env of [{}, { NODE_ENV: "development" }, production]) {
      expect(readConfig({ ...env, ...order }).crashAt).toBeUndefined();
    }
    expect(() => readConfig({ NODE_ENV: "test", STRAIT_CRASH_AT: "lunch:1" })).toThrow("STRAIT_CRASH_AT");
  });

  test("takes an empty variable for one that is not set", () => {
    expect(readConfig({ PORT: "", DATABASE_URL: " ", MODE: "" })).toEqual(readConfig({}));
  });
});

describe("a bad variable", () => {
  const origin = "list origins such as https://app.example.com, without a path, or * for all.";
  const duration = 'set it to a duration from 1ms to 24d, such as "30s" or "1m30s".';

  test.each<[Environment, string]>([
    [{ PORT: "http" }, 'PORT is "http"; set it to a whole number from 0 to 65535, such as 8080.'],
    [{ PORT: "65536" }, 'PORT is "65536"; set it to a whole number from 0 to 65535, such as 8080.'],
    [{ PORT: "-1" }, 'PORT is "-1"; set it to a whole number from 0 to 65535, such as 8080.'],
    [{ PORT: "8e3" }, 'PORT is "8e3"; set it to a whole number from 0 to 65535, such as 8080.'],
    [{ DB_MAX_CONNS: "2" }, 'DB_MAX_CONNS is "2"; set it to a whole number from 4 to 1000, such as 20.'],
    [{ WORKER_CONCURRENCY: "0" }, 'WORKER_CONCURRENCY is "0"; set it to a whole number from 1 to 100000, such as 256.'],
    [{ MODE: "both" }, 'MODE is "both"; set it to one of all, api, worker.'],
    [{ STRAIT_ALLOW_PRIVATE_ENDPOINTS: "yes" }, 'STRAIT_ALLOW_PRIVATE_ENDPOINTS is "yes"; set it to true or false.'],
    [
      { STRAIT_ALLOW_PRIVATE_ENDPOINTS: "constructor" },
      'STRAIT_ALLOW_PRIVATE_ENDPOINTS is "constructor"; set it to true or false.',
    ],
    [
      { EVENT_TRIGGER_RETENTION: "30" },
      'EVENT_TRIGGER_RETENTION is "30"; set it to a duration of at most 36500d, such as "720h" or "30d".',
    ],
    [
      { AUDIT_EVENT_RETENTION: "0d" },
      'AUDIT_EVENT_RETENTION is "0d"; set it to a duration of at most 36500d, such as "720h" or "30d".',
    ],
    [
      { EVENT_TRIGGER_RETENTION_DAYS: "0" },
      'EVENT_TRIGGER_RETENTION_DAYS is "0"; set it to a whole number from 1 to 36500, such as 30.',
    ],
    [{ REQUEST_TIMEOUT: "30" }, `REQUEST_TIMEOUT is "30"; ${duration}`],
    [{ REQUEST_TIMEOUT: "0" }, `REQUEST_TIMEOUT is "0"; ${duration}`],
    [{ REQUEST_TIMEOUT: "-5s" }, `REQUEST_TIMEOUT is "-5s"; ${duration}`],
    [{ REQUEST_TIMEOUT: "25d" }, `REQUEST_TIMEOUT is "25d"; ${duration}`],
    [
      { HEARTBEAT_INTERVAL: "11s" },
      "HEARTBEAT_INTERVAL is 11s, and LEASE_DURATION is 30s; set the interval to a third of the lease or less.",
    ],
    [{ CORS_ALLOWED_ORIGINS: "app.example.com" }, `CORS_ALLOWED_ORIGINS contains "app.example.com"; ${origin}`],
    [{ CORS_ALLOWED_ORIGINS: "*,https://a.example/" }, `CORS_ALLOWED_ORIGINS contains "https://a.example/"; ${origin}`],
    [
      { ...production, DATABASE_URL: undefined },
      "DATABASE_URL is not set, and production needs it; set it to a PostgreSQL, or set NODE_ENV=development to use the embedded one.",
    ],
    [
      { ...production, INTERNAL_SECRET: undefined },
      "INTERNAL_SECRET is not set, and production needs it; set it to what `openssl rand -hex 32` prints.",
    ],
    [
      { JWT_SIGNING_KEY: "short" },
      "JWT_SIGNING_KEY has 5 characters, and 32 are the least that is safe; set it to what `openssl rand -hex 32` prints.",
    ],
  ])("is named with its problem and the way out: %o", (env, sentence) => {
    expect(problemsOf(env)).toEqual([sentence]);
  });

  test.each(["localhost:5432/strait", "mysql://root:hunter2@db/strait", "postgresql://user:hunter2#@db/strait?x=%"])(
    "keeps the password to itself: DATABASE_URL=%s",
    (url) => {
      const problems = problemsOf({ ...production, DATABASE_URL: url });

      expect(problems).toEqual([expect.stringMatching(/^DATABASE_URL is not the URL of a PostgreSQL; /)]);
      expect(String(problems)).not.toContain("hunter2");
    },
  );

  test("does not hide the others", () => {
    expect(problemsOf({ NODE_ENV: "production", PORT: "x" }).map((problem) => problem.split(" ")[0])).toEqual([
      "PORT",
      "INTERNAL_SECRET",
      "JWT_SIGNING_KEY",
      "DATABASE_URL",
    ]);
  });
});

describe("a variable that nobody knows", () => {
  test.each([
    ["STRAIT_DATADIR", "STRAIT_DATADIR is not a setting of the server; is STRAIT_DATA_DIR meant?"],
    [
      "STRAIT_ALLOW_PRIVATE_ENDPOINT",
      "STRAIT_ALLOW_PRIVATE_ENDPOINT is not a setting of the server; is STRAIT_ALLOW_PRIVATE_ENDPOINTS meant?",
    ],
    ["STRAIT_PORT", "STRAIT_PORT is not a setting of the server; is PORT meant?"],
    ["STRAIT_COLOR_OF_THE_SKY", "STRAIT_COLOR_OF_THE_SKY is not a setting of the server"],
  ])("is warned about: %s", (name, sentence) => {
    expect(readConfig({ [name]: "1" }).warnings).toEqual([sentence]);
  });

  test.each(["STRAIT_API_KEY", "STRAIT_BASE_URL", "PATH"])(
    "is left alone when it is not for the server: %s",
    (name) => {
      expect(readConfig({ [name]: "1" }).warnings).toEqual([]);
    },
  );
});
