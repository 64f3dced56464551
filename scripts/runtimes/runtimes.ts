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

type Expected = Readonly<Record<string, unknown>>;

/** Runs the programs of a user in each runtime, as far as this machine has it. Each has to report the same everywhere. */
export function runtimes({ folder }: Consumer, { programOf }: Tools, server: RuntimesServer): Trial[] {
  const read = (file: string) => readFileSync(path.join(folder, file), "utf8");
  const client = JSON.parse(read("expected.json")) as Expected;
  const mocks = JSON.parse(read("mocks-expected.json")) as Expected;
  const [bun, deno, workerd, esbuild] = ["bun", "deno", "workerd", "esbuild"].map(programOf);

  return [
    program("Node.js", process.execPath, ["main.mjs"]),
    program("Node.js, CommonJS", process.execPath, ["main.cjs"]),
    program("the mocks in Node.js", process.execPath, ["mocks-node.mjs"], mocks),
    program("the mocks in Node.js, CommonJS", process.execPath, ["mocks-node.cjs"], mocks),
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
    page("a page in Chromium", "page.mjs"),
    page("the mocks in a page in Chromium", "mocks-page.mjs", mocks),
  ];

  function program(name: string, file: string | undefined, args: readonly string[], expected = client): Trial {
    return {
      name,
      skipped: file === undefined ? NOT_THERE : undefined,
      run() {
        const { baseUrl, report } = server.open(slug(name));
        return judge(expected, report, runCommand(file ?? "", [...args, baseUrl], folder).then(silent));
      },
    };
  }

  function page(name: string, file: string, expected = client): Trial {
    return {
      name,
      skipped: chromiumPath ? (esbuild ? undefined : NOT_THERE) : "there is none (apt-get install chromium)",
      run: () => tryChromium(slug(name), file, expected),
    };
  }

  async function tryWorkerd(): Promise<string | undefined> {
    const { baseUrl, report } = server.open("workerd");
    const address = `--define:BASE_URL=${JSON.stringify(baseUrl)}`;
    const bundled = await bundle("worker.mjs", "worker.js", ["--conditions=workerd,worker,browser", address]);
    if (!bundled.ok) return bundled.output;
    return judge(client, report, runCommand(workerd ?? "", ["test", "worker.capnp"], folder).then(silent));
  }

  async function tryChromium(name: string, file: string, expected: Expected): Promise<string | undefined> {
    // For browsers esbuild refuses what imports something of Node.js.
    const script = `${name}.js`;
    const bundled = await bundle(file, script);
    if (!bundled.ok) return bundled.output;
    const html = `<!doctype html><meta charset="utf-8"><script type="module" src="${script}"></script>`;
    const { baseUrl, report } = server.open(name, {
      "/": html,
      [`/${script}`]: read(script),
      "/mockServiceWorker.js": read("node_modules/msw/lib/mockServiceWorker.js"),
    });
    const browser = await launchChromium();
    try {
      const tab = await browser.newPage();
      const failed = new Promise<Report>((resolve) => tab.on("pageerror", ({ message: error }) => resolve({ error })));
      await tab.goto(`${baseUrl}/`);
      return await judge(expected, report, failed);
    } finally {
      await browser.close();
    }
  }

  function bundle(from: string, to: string, more: readonly string[] = []): Promise<Outcome> {
    const args = [from, "--bundle", "--format=esm", `--outfile=${to}`, "--log-level=warning", ...more];
    return runCommand(esbuild ?? "", args, folder);
  }

  /** What is wrong with a report, or with what came instead of it; undefined when nothing is. */
  async function judge(
    expected: Expected,
    report: Promise<Report>,
    instead: Promise<Report>,
  ): Promise<string | undefined> {
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

const slug = (name: string): string => name.replaceAll(/\W+/g, "-");
