import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";

/** The server as a process of its own, as `npm start` runs it: with the embedded PostgreSQL. */
export interface RunningServer {
  readonly url: string;
  /** Allows to create projects. */
  readonly internalSecret: string;
  /** What it has logged so far. */
  readonly log: string;
  /** Resolves when the process has ended, with how it did, such as `exit code 0`. */
  readonly ended: Promise<string>;
  /** Lets it end its work and stop its database. Safe to call twice. @throws {Error} When it does not end cleanly. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** A folder of the repository; by default the data is kept in `.strait` below it. */
  readonly folder: URL;
  /** Keeps the data here instead. */
  readonly dataDir?: string | undefined;
  /** Settings of the server beyond its usual ones, such as a database that it shares; they win. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** When it is aborted, the server is stopped as soon as it is ready: while it starts, it cannot stop its database. */
  readonly signal?: AbortSignal | undefined;
}

const MAIN = fileURLToPath(new URL("../../../packages/server/src/main.ts", import.meta.url));
const START_LIMIT_MS = 60_000;
/** The server itself gives the work under way 30 s to end. */
const STOP_LIMIT_MS = 45_000;
/** Of the environment here, what programs need to run; nothing else could mean something to the server. */
const PASSED_ON = ["PATH", "HOME", "TMPDIR", "TEMP", "SystemRoot"];

/**
 * Starts a development server on any free port of 127.0.0.1 and waits until it listens.
 *
 * @throws {Error} When it ends before, or is not ready within a minute; the message holds what it logged.
 */
export async function startServer({ folder, dataDir = "", env = {}, signal }: ServerOptions): Promise<RunningServer> {
  const internalSecret = env.INTERNAL_SECRET ?? randomBytes(32).toString("hex");
  const child = spawn(process.execPath, ["--import", "tsx", MAIN], {
    cwd: fileURLToPath(folder),
    env: {
      ...Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]])),
      NODE_ENV: "development",
      PORT: "0",
      LOG_LEVEL: "warn",
      INTERNAL_SECRET: internalSecret,
      STRAIT_DATA_DIR: dataDir,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    // In a group of its own, so that Ctrl+C reaches only this process, which ends its own work before it stops the server.
    detached: true,
    windowsHide: true,
  });
  const endWithUs = () => void child.kill();
  process.once("exit", endWithUs);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, cause) => resolve(cause === null ? `exit code ${code}` : cause));
  });
  void ended.then(() => process.off("exit", endWithUs));

  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });

  let stopping: Promise<void> | undefined;
  async function stop(): Promise<void> {
    process.off("exit", endWithUs);
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
    const how = await ended;
    clearTimeout(timer);
    if (how !== "exit code 0") throw new Error(`The server did not stop cleanly: ${how}\n${log}`);
  }

  const listening = new Promise<string>((resolve, reject) => {
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const [, url] = /^listening on (\S+)\n/m.exec(output) ?? [];
      if (url !== undefined) resolve(url);
    });
    void ended.then((how) => reject(new Error(`The server ended before it was ready: ${how}\n${log}`)));
    const tooLate = () => reject(new Error(`The server is not ready after ${START_LIMIT_MS / 1000} s\n${log}`));
    setTimeout(tooLate, START_LIMIT_MS).unref();
  });
  const url = await listening.catch(async (error: Error) => {
    child.kill("SIGKILL");
    await ended;
    throw error;
  });
  if (signal?.aborted) {
    await stop();
    throw signal.reason;
  }
  return {
    url,
    internalSecret,
    get log() {
      return log;
    },
    ended,
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
