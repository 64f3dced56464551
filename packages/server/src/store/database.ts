import { createHash } from "node:crypto";
import pg from "pg";
import { crashPoint } from "./crash-points.ts";
import type { Queryable, Statement } from "./sql.ts";

declare const open: unique symbol;

/** A `Queryable` known to be inside BEGIN…COMMIT. A function that locks or changes several rows asks for this type. */
export interface Transaction extends Queryable {
  readonly [open]: true;
  /** Runs `effect` once the transaction has committed; never when it rolls back. */
  afterCommit(effect: () => void): void;
  /** Runs `effect` once the transaction has rolled back: gives back what was reserved outside the database. */
  afterRollback(effect: () => void): void;
}

export interface TransactionOptions {
  /** A lock that is not to be had in this time fails the transaction with 55P03, and it is not run again. */
  readonly lockTimeoutMs?: number;
}

export interface Database extends Queryable {
  /**
   * Runs `work` in one transaction: committed when it returns, rolled back when it throws. A deadlock or a
   * serialization failure runs it again, so everything that `work` does outside the transaction belongs in `afterCommit`.
   */
  transaction<Result>(work: (tx: Transaction) => Promise<Result>, options?: TransactionOptions): Promise<Result>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly maxConnections: number;
  /** Told of failures of idle connections; the pool replaces them. */
  readonly onIdleError: (error: Error) => void;
  readonly applicationName?: string;
  /** How long this side waits for an answer: the server's own limit says nothing when packets are lost. */
  readonly queryTimeoutMs?: number;
}

/** PostgreSQL's SQLSTATE of an error, where it has one. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A deadlock, a serialization failure or a lock timeout: the same work may succeed when repeated. */
export function isTransient(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40P01" || state === "40001" || isLockTimeout(error);
}

/** Somebody held a lock for longer than the transaction was to wait. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === "55P03";
}

/** It came to no end in time: mostly because somebody else holds what it needs. Nothing was changed. */
export function isBusy(error: unknown): boolean {
  return isTransient(error) || sqlState(error) === "57014";
}

/** The connection broke or the server went away: whether the last statement took effect is unknown. */
export function isConnectionLoss(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return /^(08|57P0)/.test(state) || /^E[A-Z]+$/.test(state);
  return error instanceof Error && /connection terminated|timeout exceeded when trying to connect/i.test(error.message);
}

/** An outage, a conflict or a lack of resources: nothing that the same work must meet again when it is done later. */
export function isPassing(error: unknown): boolean {
  return isConnectionLoss(error) || /^(40|53|55|57|58)/.test(sqlState(error) ?? "");
}

const MAX_TRIES = 5;
/** Together with the doubling: about 13 seconds, in which a database that was restarted is back. */
const MAX_ANSWER_TRIES = 8;
const FIRST_BACKOFF_MS = 50;

/** Repeats work that may be done twice without harm until the database has answered: it may have gone away meanwhile. */
export async function untilAnswered<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === MAX_ANSWER_TRIES || !(isConnectionLoss(error) || isTransient(error))) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_BACKOFF_MS * 2 ** (tries - 1)));
    }
  }
}

/** `2026-11-21 10:00:00.5+00` → `2026-11-21T10:00:00.500000Z`. The session's time zone is UTC. */
function toRfc3339(text: string): string {
  const [, date, time, fraction = ""] = /^(\S+) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text) ?? [];
  if (date === undefined) throw new RangeError(`not a timestamp in UTC: ${text}`);
  return `${date}T${time}.${fraction.padEnd(6, "0")}Z`;
}

const parsers: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [pg.types.builtins.TIMESTAMPTZ, toRfc3339],
  [pg.types.builtins.INT8, Number],
]);

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: string) =>
    (format === "binary" ? undefined : parsers.get(oid)) ?? pg.types.getTypeParser(oid, format as "text"),
};

/**
 * Settings of every connection. Each statement is planned once: the large ones take longer to plan than to run. So a plan
 * made while a table was almost empty is kept, and must not read all of it, by a sequential scan or into a hash: what was
 * free then costs a quarter of the throughput later (Q5). The time zone is fixed because
 * `toRfc3339` relies on it, and a transaction that somebody forgot must not hold back the feeds for ever.
 */
const SETTINGS = [
  "enable_seqscan=off",
  "enable_hashjoin=off",
  "enable_mergejoin=off",
  "jit=off",
  "plan_cache_mode=force_generic_plan",
  "TimeZone=UTC",
  "DateStyle=ISO",
  "idle_in_transaction_session_timeout=30s",
  "statement_timeout=30s",
];

/** The same text has the same name on every connection, so each is parsed and planned once per connection. */
const names = new Map<string, string>();
function nameOf(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = createHash("sha256").update(text).digest("base64url").slice(0, 24);
    names.set(text, name);
  }
  return name;
}

async function run<Row>(client: pg.Pool | pg.PoolClient, statement: Statement): Promise<Row[]> {
  const result = await client.query({
    name: nameOf(statement.text),
    text: statement.text,
    values: statement.values as unknown[],
  });
  return result.rows as Row[];
}

export function openDatabase(options: DatabaseOptions): Database {
  // The driver lets `options` of the URL win over ours; both are wanted.
  const target = new URL(options.url);
  const given = target.searchParams.get("options") ?? "";
  target.searchParams.delete("options");
  const pool = new pg.Pool({
    connectionString: target.href,
    max: options.maxConnections,
    application_name: options.applicationName ?? "strait",
    options: [given, ...SETTINGS.map((setting) => `-c ${setting}`)].join(" ").trim(),
    ...(options.queryTimeoutMs === undefined ? {} : { query_timeout: options.queryTimeoutMs }),
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    types,
  });
  let isClosing = false;
  pool.on("error", (error) => {
    if (!isClosing) options.onIdleError(error);
  });
  // While a client is lent the pool does not listen, and an error that nobody hears ends the process. The query that is
  // under way, or the next one, rejects.
  pool.on("connect", (client) => client.on("error", () => {}));

  async function attempt<Result>(
    work: (tx: Transaction) => Promise<Result>,
    { lockTimeoutMs }: TransactionOptions,
  ): Promise<Result> {
    const client = await pool.connect();
    const effects: (() => void)[] = [];
    const amends: (() => void)[] = [];
    const tx = {
      query: <Row>(statement: Statement) => run<Row>(client, statement),
      afterCommit: (effect: () => void) => void effects.push(effect),
      afterRollback: (effect: () => void) => void amends.push(effect),
    } as Transaction;
    let result: Result;
    try {
      // In one message, so that the limit costs no round trip.
      await client.query(lockTimeoutMs === undefined ? "BEGIN" : `BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}`);
      result = await work(tx);
      crashPoint("before-commit");
      await client.query("COMMIT");
      crashPoint("after-commit");
    } catch (error) {
      // A client whose ROLLBACK fails is in an unknown state, so the pool must not lend it again.
      await client.query("ROLLBACK").then(
        () => client.release(),
        (broken: Error) => client.release(broken),
      );
      for (const effect of amends) effect();
      throw error;
    }
    client.release();
    for (const effect of effects) effect();
    return result;
  }

  return {
    query: (statement) => run(pool, statement),
    async transaction(work, options = {}) {
      for (let tries = 1; ; tries++) {
        try {
          return await attempt(work, options);
        } catch (error) {
          if (!isTransient(error) || isLockTimeout(error) || tries === MAX_TRIES) throw error;
        }
      }
    },
    close() {
      isClosing = true;
      return pool.end();
    },
  };
}

/**
 * Shows an open transaction as a database, so that a use case that opens its own transaction joins this one instead:
 * the stored answer of an idempotent request commits together with what it did.
 */
export function joined(tx: Transaction): Database {
  return {
    query: (statement) => tx.query(statement),
    transaction: (work) => work(tx),
    close: () => Promise.reject(new Error("a joined transaction is not a database to close")),
  };
}
