import { spawn } from "node:child_process";
import { access, open, readFile } from "node:fs/promises";
import { StartupError } from "../startup-error.ts";
import { INSTEAD } from "./binaries.ts";
import type { Home } from "./home.ts";

/** A program of PostgreSQL that was started. */
export interface Program {
  readonly file: string;
  readonly pid: number | undefined;
  /** How it ended, once it has. */
  readonly result: { readonly code: number | null; readonly error?: NodeJS.ErrnoException } | undefined;
  /** Settles when it has ended; never rejects. */
  readonly end: Promise<void>;
  /** Lets this process end before the program does. */
  release(): void;
  /** What it wrote so far. */
  output(): Promise<string>;
}

/**
 * Starts a program as the home's user; what it writes goes to the home's log. It is in a process group of its own: Ctrl-C
 * in a terminal must reach the server, which drains first, and not the database under it.
 */
export async function startProgram(home: Home, file: string, args: readonly string[]): Promise<Program> {
  const log = await open(home.log, "a", 0o600);
  const { size } = await log.stat();
  const child = spawn(file, args, {
    // The folder that we are in may be closed to that user.
    cwd: "/",
    detached: true,
    windowsHide: true,
    stdio: ["ignore", log.fd, log.fd],
    ...(home.user && { uid: home.user.uid, gid: home.user.gid }),
    // Messages in English, and no search for the time zone's name. Windows needs variables of its own.
    ...(process.platform !== "win32" && { env: { LC_ALL: "C", TZ: "UTC" } }),
  });

  let result: Program["result"];
  const end = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      result ??= { code: null, error };
      resolve();
    });
    child.once("exit", (code) => {
      result ??= { code };
      resolve();
    });
  });
  await log.close();
  return {
    file,
    pid: child.pid,
    get result() {
      return result;
    },
    end,
    release: () => child.unref(),
    output: async () => (await readFile(home.log)).subarray(size).toString(),
  };
}

/** Says why a program could not run, or failed, and what to do. */
export async function explainFailure(home: Home, program: Program): Promise<StartupError> {
  const error = program.result?.error;
  const why = await (error ? explainSpawn(home, program.file, error) : explainExit(program));
  return new StartupError(`The embedded PostgreSQL does not start: ${why}.`, { cause: error });
}

async function explainSpawn(home: Home, file: string, error: NodeJS.ErrnoException): Promise<string> {
  const user = home.user?.name ?? "this user";
  switch (error.code) {
    case "ENOENT":
      return (await isThere(file))
        ? `its programs need glibc, and this system has another C library (musl, as on Alpine); ${INSTEAD}`
        : `${file} is missing; install again, or ${INSTEAD}`;
    case "EACCES":
      return `${user} may not run ${file}; allow it, or ${INSTEAD}`;
    case "EPERM":
      return `this process may not become ${user}; start it as an ordinary user, or ${INSTEAD}`;
    default:
      return `${error.message}; ${INSTEAD}`;
  }
}

async function explainExit(program: Program): Promise<string> {
  const output = await program.output();
  const library = /error while loading shared libraries: ([^:]+)/.exec(output)?.[1];
  if (library !== undefined) return `this system lacks the library ${library}; install it, or ${INSTEAD}`;
  if (output.includes("could not look up effective user ID")) {
    return `user ${process.getuid?.()} has no name on this system; give it an entry in /etc/passwd, or ${INSTEAD}`;
  }
  const said = output.trim().split("\n").slice(-5).join("\n");
  return `it ended with ${program.result?.code} and said:\n${said}\nCorrect this, or ${INSTEAD}`;
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
