import { randomBytes } from "node:crypto";
import { chown, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StartupError } from "../startup-error.ts";
import { type Binaries, executable, INSTEAD } from "./binaries.ts";
import type { Home } from "./home.ts";
import { isRunning } from "./os-user.ts";
import { explainFailure, startProgram } from "./program.ts";

export const SUPERUSER = "postgres";
/** Lies with the data, so that both appear in one rename. */
const PASSWORD_FILE = "strait_password";
const UNFINISHED = /^new\.(\d+)\./;

export async function readPassword(home: Home): Promise<string> {
  return readFile(join(home.data, PASSWORD_FILE), "utf8").catch((error: Error) => {
    throw unusable(home, `its password cannot be read (${error.message})`, error);
  });
}

/**
 * Makes the database's files unless they are there. They are made aside and then renamed, so that a kill leaves no half
 * of them, and of several processes that do this at once one wins.
 *
 * @returns Whether this call made them.
 */
export async function createCluster(binaries: Binaries, home: Home, durable: boolean): Promise<boolean> {
  if (await hasData(home)) {
    await checkVersion(binaries, home);
    return false;
  }
  await sweep(home);
  const unfinished = join(home.directory, `new.${process.pid}.${randomBytes(4).toString("hex")}`);
  const passwordFile = `${unfinished}.password`;
  try {
    await writeFile(passwordFile, randomBytes(24).toString("base64url"), { mode: 0o600 });
    await mkdir(unfinished, { mode: 0o700 });
    if (home.user) {
      await chown(passwordFile, home.user.uid, home.user.gid);
      await chown(unfinished, home.user.uid, home.user.gid);
    }
    await initdb(binaries, home, [
      `--pgdata=${unfinished}`,
      `--pwfile=${passwordFile}`,
      ...(durable ? [] : ["--no-sync"]),
    ]);
    await rename(passwordFile, join(unfinished, PASSWORD_FILE));
    await rename(unfinished, home.data);
    if (durable) await sync(home.directory);
    return true;
  } catch (error) {
    const somebodyWasFirst = await hasData(home);
    if (!somebodyWasFirst) throw error;
    await checkVersion(binaries, home);
    return false;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
  }
}

async function initdb(binaries: Binaries, home: Home, args: readonly string[]): Promise<void> {
  const program = await startProgram(home, executable(binaries, "initdb"), [
    ...args,
    `--username=${SUPERUSER}`,
    "--encoding=UTF8",
    "--locale=C",
    "--auth=scram-sha-256",
    // Hashing many times protects what people choose. This password is 192 random bits, and each connection would pay.
    "--set=scram_iterations=1",
    "--no-instructions",
  ]);
  await program.end;
  if (program.result?.code !== 0) throw await explainFailure(home, program);
}

async function hasData(home: Home): Promise<boolean> {
  try {
    return (await readdir(home.data)).length > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw unusable(home, (error as Error).message, error);
  }
}

async function checkVersion(binaries: Binaries, home: Home): Promise<void> {
  const text = await readFile(join(home.data, "PG_VERSION"), "utf8").catch((error: Error) => {
    throw unusable(home, `it holds no database of PostgreSQL (${error.message})`, error);
  });
  if (text.trim() === String(binaries.major)) return;
  throw new StartupError(
    `The database in ${home.data} was made by PostgreSQL ${text.trim()}, and Strait now brings PostgreSQL ${binaries.major}. To keep the data, dump it with the version that made it and load it here; to begin anew, move the folder away; or ${INSTEAD}.`,
  );
}

export function unusable(home: Home, why: string, cause?: unknown): StartupError {
  return new StartupError(
    `The embedded database in ${home.data} cannot be used: ${why}. If it belongs to another user, start as that user; else move the folder away, set STRAIT_DATA_DIR to another, or ${INSTEAD}.`,
    { cause },
  );
}

/** Removes what killed processes left unfinished. */
async function sweep(home: Home): Promise<void> {
  for (const name of await readdir(home.directory)) {
    const pid = UNFINISHED.exec(name)?.[1];
    if (pid && !isRunning(Number(pid))) await rm(join(home.directory, name), { recursive: true, force: true });
  }
}

async function sync(directory: string): Promise<void> {
  // Windows opens no folders.
  if (process.platform === "win32") return;
  const handle = await open(directory);
  await handle.sync().finally(() => handle.close());
}
