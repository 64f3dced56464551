import { join, resolve } from "node:path";
import { formatDuration } from "@strait/core";
import { closestMatch } from "leven";
import { type Environment, type EnvironmentReader, environmentReader } from "./environment.ts";
import { StartupError } from "./startup-error.ts";
import { type Crash, crashPoints } from "./store/crash-points.ts";

/** What the process was told by its environment, checked. Sizes are in bytes, times in milliseconds. */
export interface Config {
  /** Secrets are made up and kept, private endpoints are allowed: see `readConfig`. */
  readonly development: boolean;
  /** `api` answers requests, `worker` does what happens by itself, `all` both. */
  readonly mode: "all" | "api" | "worker";
  readonly log: {
    readonly level: LogLevel;
  };
  readonly http: {
    readonly host: string;
    /** 0 takes any that is free. */
    readonly port: number;
    readonly maxBodyBytes: number;
    readonly requestTimeoutMs: number;
    readonly keepaliveMs: number;
    /** How many streams of one project this process holds. */
    readonly maxStreamsPerProject: number;
    /** Origins as browsers send them; `*` for all. */
    readonly allowedOrigins: readonly string[];
  };
  readonly database: {
    /** Undefined: run the embedded one. */
    readonly url: string | undefined;
    readonly maxConnections: number;
  };
  readonly worker: {
    /** How many runs this process executes at once. */
    readonly concurrency: number;
    readonly drainTimeoutMs: number;
    readonly leaseMs: number;
    readonly heartbeatMs: number;
    readonly maxResultBytes: number;
    /** Whether runs may be sent to loopback and private addresses. */
    readonly allowPrivateEndpoints: boolean;
  };
  readonly retention: {
    /** How long triggers and events are kept after they have ended. */
    readonly eventsMs: number;
    /** How long it is kept who did what, or was refused it. */
    readonly auditMs: number;
  };
  /** Undefined in development: take them from `readSecrets`, which makes them up. */
  readonly secrets: {
    readonly internalSecret: string | undefined;
    readonly jwtSigningKey: string | undefined;
  };
  readonly files: {
    /** Holds the embedded database and what development makes up. */
    readonly dataDir: string;
    /** Where root's embedded database goes when its user cannot enter `dataDir`; undefined when `dataDir` was chosen. */
    readonly fallbackDir: string | undefined;
  };
  /** Undefined but in the tests that kill processes. */
  readonly crashAt: Crash | undefined;
  /** Sentences to log: settings that are probably mistakes. */
  readonly warnings: readonly string[];
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
type LogLevel = (typeof logLevels)[number];

const ENVIRONMENTS: readonly string[] = ["production", "development", "test"];
const MIB = 2 ** 20;
/** Variables with our prefix that clients read, and that may well be set where a server runs. */
const OF_CLIENTS = ["STRAIT_API_KEY", "STRAIT_BASE_URL", "STRAIT_PROJECT_ID", "STRAIT_CONTEXT"];

/**
 * Reads the configuration from the environment; nothing else does. Development is NODE_ENV=development (or test), or no
 * NODE_ENV and no DATABASE_URL; everything else is production, where DATABASE_URL and the secrets must be set.
 *
 * @param folder - Where the data goes by default, in `.strait`.
 * @throws {StartupError} With a line for each variable that is wrong: its name, its value's problem, what to do.
 */
export function readConfig(env: Environment = process.env, folder: string = process.cwd()): Config {
  const read = environmentReader(env);
  const nodeEnv = read.text("NODE_ENV");
  if (nodeEnv !== undefined && !ENVIRONMENTS.includes(nodeEnv)) {
    read.problems.push(`NODE_ENV is ${JSON.stringify(nodeEnv)}; set it to one of ${ENVIRONMENTS.join(", ")}.`);
  }
  const url = databaseUrl(read);
  const development = nodeEnv === undefined ? read.text("DATABASE_URL") === undefined : nodeEnv !== "production";
  const host = read.text("HOST") ?? "127.0.0.1";
  const dataDir = read.text("STRAIT_DATA_DIR");

  const config: Config = {
    development,
    mode: read.choice("MODE", ["all", "api", "worker"], "all"),
    log: {
      level: read.choice("LOG_LEVEL", logLevels, "info"),
    },
    http: {
      host,
      port: read.integer("PORT", { otherwise: 8080, min: 0, max: 65_535 }),
      maxBodyBytes: read.integer("MAX_REQUEST_BODY_SIZE", { otherwise: MIB, min: 1024, max: 64 * MIB }),
      requestTimeoutMs: read.durationMs("REQUEST_TIMEOUT", 30_000),
      keepaliveMs: read.durationMs("SSE_KEEPALIVE_INTERVAL", 15_000),
      maxStreamsPerProject: read.integer("STRAIT_MAX_STREAMS_PER_PROJECT", {
        otherwise: 1_000,
        min: 1,
        max: 1_000_000,
      }),
      allowedOrigins: origins(read),
    },
    database: {
      url,
      maxConnections: read.integer("DB_MAX_CONNS", { otherwise: 20, min: 4, max: 1000 }),
    },
    worker: {
      concurrency: read.integer("WORKER_CONCURRENCY", { otherwise: 256, min: 1, max: 100_000 }),
      drainTimeoutMs: read.durationMs("WORKER_DRAIN_TIMEOUT", 30_000),
      ...lease(read),
      maxResultBytes: read.integer("MAX_RESULT_SIZE", { otherwise: MIB, min: 1024, max: 64 * MIB }),
      allowPrivateEndpoints: read.flag("STRAIT_ALLOW_PRIVATE_ENDPOINTS", development && isLoopback(host)),
    },
    retention: {
      eventsMs: eventRetention(read),
      auditMs: read.longDurationMs("AUDIT_EVENT_RETENTION", 365 * DAY_MS),
    },
    secrets: {
      internalSecret: secret(read, "INTERNAL_SECRET", 16, development),
      jwtSigningKey: secret(read, "JWT_SIGNING_KEY", 32, development),
    },
    files: {
      dataDir: dataDir === undefined ? join(folder, ".strait") : resolve(folder, dataDir),
      fallbackDir: dataDir === undefined ? "/var/lib/strait" : undefined,
    },
    crashAt: nodeEnv === "test" ? crashAt(read) : undefined,
    warnings: [...misspelled(env, read.known), ...twoRetentions(read)],
  };

  if (!development && read.text("DATABASE_URL") === undefined) {
    read.problems.push(
      "DATABASE_URL is not set, and production needs it; set it to a PostgreSQL, or set NODE_ENV=development to use the embedded one.",
    );
  }
  if (read.problems.length > 0) throw new StartupError(read.problems.join("\n"));
  return config;
}

/** Says nothing of the value, which holds a password. */
function databaseUrl(read: EnvironmentReader): string | undefined {
  const url = read.text("DATABASE_URL");
  if (url === undefined) return undefined;
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return url;
  read.problems.push(
    "DATABASE_URL is not the URL of a PostgreSQL; set it to one, such as postgresql://user:password@host:5432/database, with special characters percent-encoded.",
  );
  return undefined;
}

function secret(read: EnvironmentReader, name: string, minLength: number, development: boolean): string | undefined {
  const value = read.text(name);
  const fix = "set it to what `openssl rand -hex 32` prints";
  if (value === undefined) {
    if (!development) read.problems.push(`${name} is not set, and production needs it; ${fix}.`);
  } else if (value.length < minLength) {
    read.problems.push(`${name} has ${value.length} characters, and ${minLength} are the least that is safe; ${fix}.`);
  }
  return value;
}

/** A worker stops claiming when half of its lease has passed without a heartbeat, so one must arrive well before. */
function lease(read: EnvironmentReader): { leaseMs: number; heartbeatMs: number } {
  const leaseMs = read.durationMs("LEASE_DURATION", 30_000);
  const heartbeatMs = read.durationMs("HEARTBEAT_INTERVAL", leaseMs / 6);
  if (heartbeatMs * 3 > leaseMs) {
    read.problems.push(
      `HEARTBEAT_INTERVAL is ${formatDuration(heartbeatMs)}, and LEASE_DURATION is ${formatDuration(leaseMs)}; set the interval to a third of the lease or less.`,
    );
  }
  return { leaseMs, heartbeatMs };
}

const DAY_MS = 86_400_000;

/** The original's older setting counts days, and is heard only where the newer one is not set. */
function eventRetention(read: EnvironmentReader): number {
  const days = read.integer("EVENT_TRIGGER_RETENTION_DAYS", { otherwise: 30, min: 1, max: 36_500 });
  return read.longDurationMs("EVENT_TRIGGER_RETENTION", days * DAY_MS);
}

function twoRetentions(read: EnvironmentReader): string[] {
  const isTwice =
    read.text("EVENT_TRIGGER_RETENTION") !== undefined && read.text("EVENT_TRIGGER_RETENTION_DAYS") !== undefined;
  return isTwice ? ["EVENT_TRIGGER_RETENTION_DAYS is not heard, since EVENT_TRIGGER_RETENTION is set; remove it"] : [];
}

/** `STRAIT_CRASH_AT=before-commit:12`: die there, after it was passed twelve times. */
function crashAt(read: EnvironmentReader): Crash | undefined {
  const text = read.text("STRAIT_CRASH_AT");
  if (text === undefined) return undefined;
  const [name, passes] = text.split(":");
  const point = crashPoints.find((known) => known === name);
  if (point !== undefined && /^\d{1,9}$/.test(passes ?? "")) return { point, passes: Number(passes) };
  read.problems.push(
    `STRAIT_CRASH_AT is ${JSON.stringify(text)}; set it to one of ${crashPoints.join(", ")}, a colon, and how often it is passed before.`,
  );
  return undefined;
}

function origins(read: EnvironmentReader): readonly string[] {
  const values = read.list("CORS_ALLOWED_ORIGINS", ["*"]);
  for (const value of values) {
    if (value === "*" || (URL.canParse(value) && new URL(value).origin === value)) continue;
    read.problems.push(
      `CORS_ALLOWED_ORIGINS contains ${JSON.stringify(value)}; list origins such as https://app.example.com, without a path, or * for all.`,
    );
  }
  return values;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function misspelled(env: Environment, known: ReadonlySet<string>): string[] {
  const names = [...known, ...OF_CLIENTS];
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith("STRAIT_") || names.includes(name)) return [];
    const bare = name.slice("STRAIT_".length);
    const nearest = names.includes(bare) ? bare : closestMatch(name, names, { maxDistance: 4 });
    return `${name} is not a setting of the server${nearest === undefined ? "" : `; is ${nearest} meant?`}`;
  });
}
