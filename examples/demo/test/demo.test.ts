import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

interface Demo {
  readonly process: ChildProcess;
  /** Resolves when the demo has printed `text`. */
  prints(text: string): Promise<void>;
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
}

async function startDemo(...options: readonly string[]): Promise<Demo> {
  const dataDir = await mkdtemp(join(tmpdir(), "strait-demo-"));
  // As root, PostgreSQL runs as another user, who has to get in.
  await chmod(dataDir, 0o755);
  const child = spawn(process.execPath, ["--import", "tsx", MAIN, ...options], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { PATH: process.env.PATH, STRAIT_DATA_DIR: dataDir },
  });
  let output = "";
  let notify = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      notify();
    });
  }
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, output }));
  });
  onTestFinished(async () => {
    child.kill();
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  });
  return {
    process: child,
    prints: (text) =>
      new Promise((resolve, reject) => {
        notify = () => output.includes(text) && resolve();
        notify();
        void ended.then(() => reject(new Error(`it ended without ${JSON.stringify(text)}:\n${output}`)));
      }),
    ended,
  };
}

/** Whether anything listens at the address that the demo printed for its server. */
async function isServerUp(output: string): Promise<boolean> {
  const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(output) ?? [];
  return fetch(`${url}/health`).then(
    () => true,
    () => false,
  );
}

describe("the demo", () => {
  test("ST-05 ST-12 shows both approvals, stops its server and exits with 0", { timeout: 60_000 }, async () => {
    const demo = await startDemo();

    const { code, output } = await demo.ended;

    expect(output).toContain('create-account received {{parent_outputs.aml-check.result}}: "clear"');
    expect(output).toContain("dispatch 2 brought the review as the checkpoint");
    expect(output).toMatch(/Done in .*: 10 of 10 checks passed/);
    expect(await isServerUp(output)).toBe(false);
    expect(code).toBe(0);
  });

  test.each([
    ["--help", 0, "Plays two approvals on a real server"],
    ["--fast", 2, "The demo takes no arguments, not --fast."],
  ])("with %s ends with %i, says why, and starts nothing", async (option, exitCode, says) => {
    const demo = await startDemo(option);

    const { code, output } = await demo.ended;

    expect(output).toContain(says);
    expect(output).not.toContain("http://127.0.0.1");
    expect(code).toBe(exitCode);
  });

  test("stops its server when it is interrupted, and exits with 130", { timeout: 60_000 }, async () => {
    const demo = await startDemo();
    await demo.prints("aml-check        waiting");

    demo.process.kill("SIGINT");

    const { code, output } = await demo.ended;
    expect(output).toContain("Interrupted by SIGINT");
    expect(await isServerUp(output)).toBe(false);
    expect(code).toBe(130);
  });
});
