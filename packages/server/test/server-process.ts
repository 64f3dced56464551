import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Answer, RequestOptions } from "./server.ts";

/** How a process ended. */
export interface ProcessEnd {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `src/main.ts` as a process of its own, that listens. */
export interface ServerProcess {
  readonly url: string;
  readonly apiKey: string;
  readonly pid: number;
  /** What it has written so far. */
  readonly stdout: string;
  readonly stderr: string;
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** Sends the signal, and resolves when the process has ended. */
  kill(signal: NodeJS.Signals): Promise<ProcessEnd>;
  signal(signal: NodeJS.Signals): void;
  readonly ended: Promise<ProcessEnd>;
}

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const START_LIMIT_MS = 120_000;

/** A folder for what a server keeps, open to the user that runs the embedded database; removed after the test. */
export async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "strait-process-"));
  await chmod(folder, 0o755);
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** Starts the server and waits until it listens. Killed after the test, if it still runs. */
export async function startProcess(env: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const { child, output, ended } = launch(env);
  const { url, apiKey } = await new Promise<{ url: string; apiKey: string }>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the server ${why}: ${output.stdout}${output.stderr}`));
    const timer = setTimeout(() => fail("is not ready in time"), START_LIMIT_MS);
    child.stdout?.on("data", () => {
      const [, at] = /listening on (\S+)\n/.exec(output.stdout) ?? [];
      const [, key] = /API key +(\S+)\n/.exec(output.stdout) ?? [];
      if (at === undefined || key === undefined) return;
      clearTimeout(timer);
      resolve({ url: at, apiKey: key });
    });
    void ended.then(({ code, signal }) => fail(`ended with ${signal ?? code}`));
  });
  return {
    url,
    apiKey,
    pid: child.pid ?? 0,
    get stdout() {
      return output.stdout;
    },
    get stderr() {
      return output.stderr;
    },
    ended,
    async request(method, path, { body, text, headers, token = apiKey } = {}) {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(sent === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(sent === undefined ? {} : { body: sent }),
      });
      const answered = await response.text();
      return {
        status: response.status,
        body: answered === "" ? undefined : JSON.parse(answered),
        headers: response.headers,
      };
    },
    kill(signal) {
      child.kill(signal);
      return ended;
    },
    signal: (signal) => void child.kill(signal),
  };
}

/** Starts the server where it cannot run, and resolves when it has given up. */
export function runToEnd(env: Readonly<Record<string, string>>): Promise<ProcessEnd> {
  return launch(env).ended;
}

interface Launched {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly ended: Promise<ProcessEnd>;
}

/** Nothing of this process's environment reaches it but the way to programs. */
function launch(env: Readonly<Record<string, string>>): Launched {
  const child = spawn(process.execPath, ["--import", "tsx", MAIN], {
    env: { PATH: process.env.PATH, PORT: "0", LOG_LEVEL: "error", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, ...output }));
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, output, ended };
}
