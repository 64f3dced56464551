import pg from "pg";
import { StartupError } from "../startup-error.ts";
import { sqlState } from "./database.ts";
import type { Queryable } from "./sql.ts";

/** One connection outside the pool, for what belongs to a session: an advisory lock that is held, CREATE DATABASE. */
export interface Session extends Queryable {
  close(): Promise<void>;
}

/** Connects to `url`. A connection that breaks later shows in the next query. Rejects with the driver's error. */
export async function openSession(url: string, applicationName: string): Promise<Session> {
  const client = await connect(url, applicationName);
  return {
    async query<Row>(statement: { readonly text: string; readonly values: readonly unknown[] }) {
      const result = await client.query(statement.text, [...statement.values]);
      return result.rows as Row[];
    },
    close: () => client.end(),
  };
}

/** The same as a client of the driver, for a library that wants one. */
export async function connect(url: string, applicationName: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // Without a listener the process would end when the server goes away.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Says in one sentence why `url` cannot be used, without its password, and what to do. */
export function unreachableDatabase(url: string, error: unknown): StartupError {
  const { host, database } = place(url);
  const reason = error instanceof Error && error.message !== "" ? error.message : String(sqlState(error) ?? error);
  const [why, todo] = explain(sqlState(error), host, database) ?? [
    `Cannot connect to the database at ${host}: ${reason}`,
    "check DATABASE_URL",
  ];
  return new StartupError(`${why}; ${todo}.`, { cause: error });
}

function explain(code: string | undefined, host: string, database: string): [why: string, todo: string] | undefined {
  switch (code) {
    case "ECONNREFUSED":
      return [
        `No PostgreSQL answers at ${host}`,
        "start it, correct DATABASE_URL, or unset DATABASE_URL to use the embedded one",
      ];
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return [`The database host ${host} is not known`, "correct the host in DATABASE_URL"];
    case "28P01":
    case "28000":
      return [`The database at ${host} refuses this user or password`, "correct them in DATABASE_URL"];
    case "3D000":
      return [`There is no database "${database}" at ${host}`, "create it, or correct the name in DATABASE_URL"];
    case "53300":
      return [`The database at ${host} has no connection left`, "raise its max_connections or lower DB_MAX_CONNS"];
    default:
      return undefined;
  }
}

function place(url: string): { host: string; database: string } {
  try {
    const { hostname, port, pathname, searchParams } = new URL(url);
    const name = decodeURIComponent(hostname) || searchParams.get("host") || "localhost";
    return { host: `${name}:${port || 5432}`, database: decodeURIComponent(pathname.slice(1)) };
  } catch {
    return { host: "the host of DATABASE_URL", database: "" };
  }
}
