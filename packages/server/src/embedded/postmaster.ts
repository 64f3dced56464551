import { execFile } from "node:child_process";
import { readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Binaries, executable } from "./binaries.ts";
import type { Home } from "./home.ts";
import { isRunning } from "./os-user.ts";
import { type Program, startProgram } from "./program.ts";

export const POLL_MS = 10;

/** PostgreSQL's first process, as its lock file `postmaster.pid` describes it. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** False while it recovers from a crash, and while it shuts down. */
  readonly ready: boolean;
}

/**
 * The postmaster that runs on the home's data, whoever started it. A lock file that outlived its postmaster is removed
 * when PostgreSQL would take it for a live one: its number now belongs to another process, or to a copy of this folder.
 */
export async function findPostmaster(home: Home): Promise<Postmaster | undefined> {
  const file = join(home.data, "postmaster.pid");
  const text = await readFile(file, "utf8").catch(() => "");
  const [pid, data, , port, , , , status] = text.split("\n").map((line) => line.trim());
  if (!pid || !data || !port) return undefined;

  if (await isPostmaster(Number(pid), data, home)) {
    return { pid: Number(pid), port: Number(port), ready: status === "ready" };
  }
  if (isRunning(Number(pid))) await removeExactly(file, text);
  return undefined;
}

async function isPostmaster(pid: number, data: string, home: Home): Promise<boolean> {
  if (!isRunning(pid)) return false;
  if (process.platform === "linux") {
    // A postmaster works in its data directory, even after that was renamed. A zombie works nowhere.
    const [there, here] = await Promise.all([stat(`/proc/${pid}/cwd`).catch(() => undefined), stat(home.data)]);
    return there?.ino === here.ino && there.dev === here.dev;
  }
  if ((await realpath(data).catch(() => data)) !== (await realpath(home.data))) return false;
  if (process.platform === "win32") return true;
  const { stdout } = await promisify(execFile)("ps", ["-o", "comm=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.includes("postgres");
}

/** Removes the file if it still says `text`: another process may just have replaced it by one that counts. */
async function removeExactly(file: string, text: string): Promise<void> {
  const aside = `${file}.${process.pid}`;
  await rename(file, aside).catch(() => {});
  if ((await readFile(aside, "utf8").catch(() => text)) === text) await rm(aside, { force: true });
  else await rename(aside, file);
}

/** Starts a postmaster, on `port`, or on the port of last time if it is free, or on any that is free. */
export async function startPostmaster(
  binaries: Binaries,
  home: Home,
  port: number | undefined,
  settings: Readonly<Record<string, string | number>>,
): Promise<Program> {
  const chosen = port ?? (await freePort(await lastPort(home))) ?? (await freePort(0));
  const program = await startProgram(home, executable(binaries, "postgres"), [
    "-D",
    home.data,
    "-p",
    String(chosen),
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]);
  program.release();
  return program;
}

/** PostgreSQL keeps its latest command line, so that tools that people connected go on working. */
async function lastPort(home: Home): Promise<number> {
  const options = await readFile(join(home.data, "postmaster.opts"), "utf8").catch(() => "");
  return Number(/"-p" "(\d+)"/.exec(options)?.[1] ?? 0);
}

function freePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === "object" ? address.port : undefined));
    });
  });
}

/**
 * Fast shutdown: open transactions are rolled back, connections closed, everything written. Returns when the postmaster
 * has ended, however long that takes. (`pg_ctl stop` would also wait for one that somebody starts right after.)
 */
export async function stopPostmaster(binaries: Binaries, home: Home, pid: number): Promise<void> {
  const program = await startProgram(home, executable(binaries, "pg_ctl"), ["kill", "INT", String(pid)]);
  await program.end;
  while (await isPostmaster(pid, home.data, home)) await sleep(POLL_MS);
}
