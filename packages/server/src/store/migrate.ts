import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { StartupError } from "../startup-error.ts";
import { sqlState } from "./database.ts";
import { connect, unreachableDatabase } from "./session.ts";

export interface MigrateOptions {
  /** Folder of the `.sql` files; the server's own by default. */
  readonly directory?: string;
  readonly log?: (message: string) => void;
}

const TABLE = "strait_migrations";
const OWN_DIRECTORY = fileURLToPath(new URL("../../migrations", import.meta.url));
const OLDEST_SERVER = { number: 140_000, name: "PostgreSQL 14" };
/** Any number will do, as long as every version of this program uses the same. */
const LOCK = "7310451120063914";

/**
 * Brings the database up to date: applies the `.sql` files that it does not have yet, in the order of their names, each
 * in a transaction of its own. Any number of processes may do this at once; one applies, the others wait for it. When
 * there is nothing to do it costs two statements and takes no lock.
 *
 * @returns The names of the migrations that this call applied, without `.sql`.
 * @throws {StartupError} When the database cannot be reached, is too old, has migrations that this program does not know
 *   or in another order, or when a migration fails. What was applied before stays.
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<string[]> {
  const { directory = OWN_DIRECTORY, log = () => {} } = options;
  const known = await migrationNames(directory);
  const client = await connect(url, "strait migrate").catch((error: unknown) => {
    throw unreachableDatabase(url, error);
  });
  try {
    await checkServer(client);
    if (pending(known, await appliedNames(client)).length === 0) return [];

    await client.query(`SELECT pg_advisory_lock(${LOCK})`);
    const todo = pending(known, await appliedNames(client));
    for (const name of todo) {
      await apply(client, directory, name);
      log(`Applied migration ${name}`);
    }
    return todo;
  } finally {
    // Ends the session, and so gives the lock back.
    await client.end();
  }
}

async function migrationNames(directory: string): Promise<string[]> {
  const files = await readdir(directory);
  return files.flatMap((file) => /^(\d{4}_\w+)\.sql$/.exec(file)?.[1] ?? []).sort();
}

async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: number; name: string }>(
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS name",
  );
  const [server] = rows;
  if (server === undefined || server.number >= OLDEST_SERVER.number) return;
  throw new StartupError(
    `The database is PostgreSQL ${server.name}, and ${OLDEST_SERVER.name} is the oldest that works; upgrade it, or point DATABASE_URL at another.`,
  );
}

async function appliedNames(client: pg.Client): Promise<string[]> {
  try {
    const { rows } = await client.query<{ name: string }>(`SELECT name FROM ${TABLE} ORDER BY id`);
    return rows.map((row) => row.name);
  } catch (error) {
    const isUndefinedTable = sqlState(error) === "42P01";
    if (isUndefinedTable) return [];
    throw error;
  }
}

/** What follows the applied ones. */
function pending(known: readonly string[], applied: readonly string[]): string[] {
  for (const [index, name] of applied.entries()) {
    if (known[index] === name) continue;
    throw new StartupError(
      known.includes(name)
        ? `Migration ${known[index]} sorts before ${name}, which the database already has; give it a later number.`
        : `The database has migration ${name}, which this version does not know; start the version that made it, or a newer one.`,
    );
  }
  return known.slice(applied.length);
}

async function apply(client: pg.Client, directory: string, name: string): Promise<void> {
  try {
    await runner({
      dbClient: client,
      dir: directory,
      ignorePattern: "(?!\\d{4}_\\w+\\.sql$).*",
      direction: "up",
      file: name,
      migrationsTable: TABLE,
      singleTransaction: true,
      // Ours is held around this, and waits where the library's own would fail.
      noLock: true,
      // It logs what it also throws, and a complaint about names that do not begin with a time.
      logger: { info() {}, warn() {}, error() {} },
    });
  } catch (error) {
    const where = await failedAt(error, join(directory, `${name}.sql`));
    // The library puts a stack trace into one of its messages.
    const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    const fix = reason.includes("permission denied") ? "; let the user of DATABASE_URL make tables there" : "";
    throw new StartupError(`Migration ${name} failed${where}: ${reason}${fix}. Nothing of it was applied.`, {
      cause: error,
    });
  }
}

/** PostgreSQL counts characters; people count lines. */
async function failedAt(error: unknown, file: string): Promise<string> {
  if (!(error instanceof pg.DatabaseError) || error.position === undefined) return "";
  const before = (await readFile(file, "utf8")).slice(0, Number(error.position) - 1);
  return ` at line ${before.split("\n").length}`;
}
