import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface ServerProcess {
  readonly origin: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;

/**
 * Starts a server as a child process and waits until it prints `listening on http://…`.
 *
 * @param program - Its file, relative to this one.
 */
export async function startServer(
  program: string,
  nodeArgs: readonly string[],
  env: Record<string, string>,
): Promise<ServerProcess> {
  const file = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, [...nodeArgs, file], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  try {
    return { origin: await originOf(child, file), pid: child.pid ?? 0, stop: () => stop(child, kill) };
  } catch (error) {
    await stop(child, kill);
    throw error;
  }
}

function originOf(child: ChildProcess, file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${file} ${why}`));
    const timer = setTimeout(() => fail(`is not listening after ${START_LIMIT_MS / 1000} s`), START_LIMIT_MS);
    let printed = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      printed = (printed + text).slice(-10_000);
      const origin = /listening on (http:\/\/[^\s/]+)/.exec(printed)?.[1];
      if (origin === undefined) return;
      clearTimeout(timer);
      resolve(origin);
    });
    child.once("error", (error) => fail(`cannot be started: ${error.message}`));
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      fail(`ended (${signal ?? `exit code ${code}`}) before it was listening. It printed: ${printed}`);
    });
  });
}

async function stop(child: ChildProcess, kill: () => boolean): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const timer = setTimeout(kill, STOP_LIMIT_MS);
    child.kill("SIGTERM");
    await ended;
    clearTimeout(timer);
  }
  process.off("exit", kill);
}
