import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StartupError } from "../startup-error.ts";
import { sqlState } from "../store/database.ts";
import { openSession, type Session } from "../store/session.ts";
import { sql } from "../store/sql.ts";
import { type Binaries, prepareBinaries } from "./binaries.ts";
import { createCluster, readPassword, SUPERUSER, unusable } from "./cluster.ts";
import { type Home, prepareHome } from "./home.ts";
import { findPostmaster, POLL_MS, type Postmaster, startPostmaster, stopPostmaster } from "./postmaster.ts";
import { explainFailure, type Program } from "./program.ts";

export interface EmbeddedPostgresOptions {
  /** Folder for the data, which is kept between starts. It is made, with those above it. */
  readonly dataDir: string;
  /**
   * Where to go when this process is root and the user that PostgreSQL runs as cannot enter `dataDir`: the data goes to
   * a folder inside that is named after `dataDir`. The programs are copied there when that user cannot reach them.
   * Without it, the former is an error and the programs go to `dataDir`.
   */
  readonly fallbackDir?: string;
  /** The port on 127.0.0.1; by default that of last time, or any free one. A running database keeps its own. */
  readonly port?: number;
  /** False gives up safety for speed, for tests: a power failure may destroy the data. */
  readonly durable?: boolean;
  /** Memory for pages of the database, by default `128MB`. Only what is used is taken. A running database keeps its own. */
  readonly sharedBuffers?: string;
  readonly log: (message: string) => void;
}

export interface EmbeddedPostgres {
  /** Of a superuser, password included. */
  readonly url: string;
  /** Where its data is: not always where it was wanted. */
  readonly directory: string;
  readonly pid: number;
  /** Such as `18.4`. */
  readonly version: string;
  /** Whether this call made the data. */
  readonly fresh: boolean;
  /**
   * Stops the database, after all is written, and waits for it; or leaves it to the other processes that use it. Safe to
   * call twice. Close all connections first: those that are left are cut.
   */
  stop(): Promise<void>;
}

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  // One way in. A socket in a file system needs a short path that nobody else can take, and PostgreSQL on Windows none.
  unix_socket_directories: "",
  max_connections: 100,
  // The others begin three processes that matter only to large scans.
  io_method: "sync",
  // A conflict on a unique key is everyday work here; the log need not repeat the statement.
  log_min_error_statement: "panic",
  log_checkpoints: "off",
} as const;

const DURABLE = { fsync: "on", synchronous_commit: "on", full_page_writes: "on" } as const;
const NOT_DURABLE = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "minimal",
  max_wal_senders: 0,
  max_connections: 300,
} as const;

/** Recovery after a crash can take long; nothing else does. */
const PATIENCE_MS = 120_000;
/** The advisory lock, in the database `postgres`, that every user of the postmaster shares. Any number will do. */
const USERS_LOCK = "7310451120063915";

/**
 * Starts the PostgreSQL that came with the installation, or joins the one that runs on this data already: another
 * process may have started it, or have been killed without stopping it. The last process that leaves stops it.
 *
 * @throws {StartupError} When no PostgreSQL can run here, or none on this data; the message names the way out.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, fallbackDir, port, durable = true, sharedBuffers = "128MB", log } = options;
  const home = await prepareHome(dataDir, fallbackDir);
  if (home.directory !== resolve(dataDir)) {
    log(`The database is kept in ${home.directory}, because ${home.user?.name} cannot enter ${dataDir}`);
  }
  const binaries = await prepareBinaries(home.user && fallbackDir ? fallbackDir : home.directory, home.user);
  const fresh = await createCluster(binaries, home, durable);
  const settings = { ...SETTINGS, ...(durable ? DURABLE : NOT_DURABLE), shared_buffers: sharedBuffers };
  const { postmaster, session, url } = await join(home, port, () => startPostmaster(binaries, home, port, settings));
  const [server] = await session.query<{ version: string }>(sql`SELECT current_setting('server_version') AS version`);

  let stopping: Promise<void> | undefined;
  return {
    url,
    directory: home.directory,
    pid: postmaster.pid,
    version: server?.version ?? String(binaries.major),
    fresh,
    stop() {
      stopping ??= leave(binaries, home, session, postmaster.pid);
      return stopping;
    },
  };
}

interface Joined {
  readonly url: string;
  readonly postmaster: Postmaster;
  /** Holds this process's share of the lock. */
  readonly session: Session;
}

/** Enters the postmaster that runs, or is about to; without one, starts it, as often as somebody else gets in the way. */
async function join(home: Home, port: number | undefined, start: () => Promise<Program>): Promise<Joined> {
  const password = await readPassword(home);
  const deadline = performance.now() + PATIENCE_MS;
  let started: Program | undefined;
  while (performance.now() < deadline) {
    const postmaster = await findPostmaster(home);
    if (postmaster?.ready) {
      const url = `postgresql://${SUPERUSER}:${password}@127.0.0.1:${postmaster.port}/postgres`;
      const session = await enter(home, url);
      if (session) return { url, postmaster, session };
    } else if (postmaster === undefined) {
      if (started?.result) await checkWorthRepeating(home, started, port);
      if (started === undefined || started.result) started = await start();
    }
    await sleep(POLL_MS);
  }
  throw unusable(home, `it does not answer after ${PATIENCE_MS / 1000} s (its log is ${home.log})`);
}

/** Connects and takes a share of the lock. Undefined when the postmaster is on its way out, or not ready after all. */
async function enter(home: Home, url: string): Promise<Session | undefined> {
  let session: Session;
  try {
    session = await openSession(url, "strait embedded");
  } catch (error) {
    if (sqlState(error) === "28P01") throw unusable(home, "it does not accept its own password", error);
    return undefined;
  }
  try {
    // Whoever stops the postmaster holds this lock until the end.
    await session.query(sql`SELECT pg_advisory_lock_shared(${USERS_LOCK})`);
    return session;
  } catch {
    await session.close();
    return undefined;
  }
}

/** @throws {StartupError} Unless another process is why the postmaster ended. */
async function checkWorthRepeating(home: Home, program: Program, port: number | undefined): Promise<void> {
  const output = await program.output();
  if (output.includes("could not bind") && port !== undefined) {
    throw new StartupError(`Port ${port} is taken, so the embedded database cannot use it; choose another.`);
  }
  const wasStopped = program.result?.code === 0;
  // The last is what children of a killed postmaster cause until they notice.
  const isRace = /could not bind|lock file .* already exists|pre-existing shared memory block/.test(output);
  if (!wasStopped && !isRace) throw await explainFailure(home, program);
}

async function leave(binaries: Binaries, home: Home, session: Session, pid: number): Promise<void> {
  try {
    await session.query(sql`SELECT pg_advisory_unlock_shared(${USERS_LOCK})`);
    const [last] = await session.query<{ alone: boolean }>(sql`SELECT pg_try_advisory_lock(${USERS_LOCK}) AS alone`);
    if (last?.alone) await stopPostmaster(binaries, home, pid);
  } catch {
    // The connection broke, so the postmaster is gone already.
  } finally {
    await session.close();
  }
}
