import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "@strait/server/embedded";
import pg from "pg";

/** A PostgreSQL for this benchmark alone. */
export interface Store {
  readonly pid: number;
  /** Such as `18.4`. */
  readonly version: string;
  /** Makes an empty database, lets `use` have its URL, and drops it. */
  withDatabase<Result>(use: (url: string) => Promise<Result>): Promise<Result>;
  stop(): Promise<void>;
}

/**
 * Starts the embedded PostgreSQL in a temporary folder, with fsync and synchronous_commit on, and room in memory for a million
 * that wait: the bars were made with as much.
 */
export async function startStore(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), "strait-bench-"));
  // Another user runs PostgreSQL when this one is root, and has to get in.
  await chmod(folder, 0o755);
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, "data"),
    fallbackDir: folder,
    sharedBuffers: "512MB",
    log: () => {},
  });
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  // A checkpoint that the log asks for would fall on whoever is being measured.
  await admin.query("ALTER SYSTEM SET max_wal_size = '4GB'");
  await admin.query("SELECT pg_reload_conf()");
  let databases = 0;
  return {
    pid: postgres.pid,
    version: postgres.version,
    async withDatabase(use) {
      const name = `bench_${++databases}`;
      await admin.query(`CREATE DATABASE ${name}`);
      // So that none falls into a measurement.
      await admin.query("CHECKPOINT");
      const url = new URL(postgres.url);
      url.pathname = name;
      try {
        return await use(url.href);
      } finally {
        await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      }
    },
    async stop() {
      await admin.end();
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
