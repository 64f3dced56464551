import { readFileSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { chromiumPath, launchChromium } from "../../examples/support/src/chromium.ts";
import { type Outcome, runCommand } from "../run-command.ts";
import type { Consumer } from "./consumer.ts";
import { NOT_THERE, type Tools } from "./install.ts";
import type { Report, RuntimesServer } from "./server.ts";
import type { Trial } from "./trial.ts";

const LIMIT_MS = 60_000;

/** Runs the program of a user in each runtime, as far as this machine has it. Each has to report the same. */
export function runtimes({ folder }: Consumer, { programOf }: Tools, server: RuntimesServer): Trial[] {
  const read = (file: string) => readFileSync(path.join(folder, file), "utf8");
  const expected = JSON.parse(read("expected.json")) as Record<string, unknown>;
  const [bun, deno, workerd, esbuild] = ["bun", "deno", "workerd", "esbuild"].map(programOf);

  return [
    program("Node.js", process.execPath, ["main.mjs"]),
    program("Node.js, CommonJS", process.execPath, ["main.cjs"]),
    program("Bun", bun, ["main.mjs"]),
    program("Bun, CommonJS", bun, ["main.cjs"]),
    program("Deno", deno, [
      "run",
      "--allow-net=127.0.0.1",
      "--allow-env",
      "--allow-read",
      "--node-modules-dir=manual",
      "main.mjs",
    ]),
    { name: "workerd", skipped: workerd && esbuild ? undefined : NOT_THERE, run: tryWorkerd },
    {
      name: "a page in Chromium",
      skipped: chromiumPath ? (esbuild ? undefined : NOT_THERE) : "there is none (apt-get install chromium)",
      run: tryChromium,
    },
  ];

  function program(name: string, file: string | undefined, args: readonly string[]): Trial {
    return {
      name,
      skipped: file === undefined ? NOT_THERE : undefined,
      run() {
        const { baseUrl, report } = server.open(name.replaceAll(/\W+/g, "-"));
        return judge(report, runCommand(file ?? "", [...args, baseUrl], folder).then(silent));
      },
    };
  }

  async function tryWorkerd(): Promise<string | undefined> {
    const { baseUrl, report } = server.open("workerd");
    const address = `--define:BASE_URL=${JSON.stringify(baseUrl)}`;
    const bundled = await bundle("worker.mjs", "worker.js", ["--conditions=workerd,worker,browser", address]);
    if (!bundled.ok) return bundled.output;
    return judge(report, runCommand(workerd ?? "", ["test", "worker.capnp"], folder).then(silent));
  }

  async function tryChromium(): Promise<string | undefined> {
    const bundled = await bundle("page.mjs", "page.js");
    if (!bundled.ok) return bundled.output;
    const html = '<!doctype html><meta charset="utf-8"><script type="module" src="page.js"></script>';
    const { baseUrl, report } = server.open("chromium", { "/": html, "/page.js": read("page.js") });
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const failed = new Promise<Report>((resolve) => page.on("pageerror", ({ message: error }) => resolve({ error })));
      await page.goto(`${baseUrl}/`);
      return await judge(report, failed);
    } finally {
      await browser.close();
    }
  }

  function bundle(from: string, to: string, more: readonly string[] = []): Promise<Outcome> {
    const args = [from, "--bundle", "--format=esm", `--outfile=${to}`, "--log-level=warning", ...more];
    return runCommand(esbuild ?? "", args, folder);
  }

  /** What is wrong with a report, or with what came instead of it; undefined when nothing is. */
  async function judge(report: Promise<Report>, instead: Promise<Report>): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<Report>((resolve) => {
      timer = setTimeout(() => resolve({ error: `no report after ${LIMIT_MS / 1_000} s` }), LIMIT_MS);
    });
    const { error, result = {} } = await Promise.race([report, instead, tooLate]);
    clearTimeout(timer);
    if (error !== undefined) return error;
    const names = Object.keys({ ...expected, ...result });
    const wrong = names.filter((name) => !isDeepStrictEqual(result[name], expected[name]));
    const differences = wrong.map(
      (name) => `${name} is ${JSON.stringify(result[name])} instead of ${JSON.stringify(expected[name])}`,
    );
    return differences.length > 0 ? differences.join("\n") : undefined;
  }
}

function silent({ output }: Outcome): Report {
  return { error: `it ended without a report\n${output}` };
}
