import { spawn } from "node:child_process";
import path from "node:path";
import { readManifest, root } from "./workspace.ts";

/** How a program ended, and everything that it printed. */
export interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

/** What keeps tools from coloring what we indent, and from calling home. */
const quietly = { NO_COLOR: "1", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true", REDOCLY_TELEMETRY: "off" };

/** Runs a program in `folder` (from the root, or absolute) and collects what it prints. Never rejects: a failure is an outcome. */
export function runCommand(program: string, args: readonly string[], folder = "."): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: path.resolve(root, folder),
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...quietly },
      // Programs installed from the registry are batch files on Windows, and only a shell can run one.
      shell: process.platform === "win32",
    });
    let output = "";
    const listen = (chunk: string) => {
      output += chunk;
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
    child.on("error", (error) => resolve({ ok: false, output: `${program}: ${error.message}` }));
    child.on("close", (code) => resolve({ ok: code === 0, output: output.trim() }));
  });
}

/** Runs a program that a package of the root installed, such as `tsc`. */
export function runTool(name: string, args: readonly string[], folder = "."): Promise<Outcome> {
  return runCommand(path.join(root, "node_modules", ".bin", name), args, folder);
}

/** Runs a TypeScript file of this repository in a process of its own. */
export function runScript(file: string, args: readonly string[] = []): Promise<Outcome> {
  return runCommand(process.execPath, ["--import", "tsx", file, ...args]);
}

/** Runs the pnpm that the root pins. It need not be installed. */
export function runPnpm(args: readonly string[], folder = "."): Promise<Outcome> {
  const { packageManager = "pnpm" } = readManifest(".");
  return runCommand("npx", ["--yes", packageManager, ...args], folder);
}

/** Runs the steps one after the other, all of them even when one fails, and joins what they printed. */
export async function inSequence(steps: readonly (() => Promise<Outcome>)[]): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (const step of steps) outcomes.push(await step());
  return {
    ok: outcomes.every((outcome) => outcome.ok),
    output: outcomes
      .filter((outcome) => !outcome.ok)
      .map((outcome) => outcome.output)
      .join("\n\n"),
  };
}
