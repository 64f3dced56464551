// `npm run conformance`: the rules of events and waits against a server. `npm run conformance -- --help` says more.

import { checks } from "./src/checks/all.ts";
import { startLocalServer } from "./src/local-server.ts";
import { help, readOptions, UsageError } from "./src/options.ts";
import { summary, table } from "./src/report.ts";
import { type Result, runSuite, type Target, Unusable } from "./src/suite.ts";

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (!options) {
    console.log(help);
    return;
  }
  const { target, processes, only } = options;
  const unknown = only?.find((id) => !checks.some(({ rule }) => rule === id));
  if (unknown !== undefined) throw new UsageError(`--only names ${unknown}, and no check is called so.`);
  const chosen = checks.filter(({ rule }) => only?.includes(rule) ?? true);

  const started = performance.now();
  const results = target ? await prove(target, chosen) : await proveLocally(processes, chosen);
  console.log(`${table(results)}\n\n${summary(results, performance.now() - started)}`);
  if (results.some(({ verdict }) => verdict.kind === "fail")) process.exitCode = 1;
}

function prove(target: Target, chosen: typeof checks): Promise<Result[]> {
  const where = target.urls.join(", ");
  console.error(`${chosen.length} rules against ${where} …`);
  return runSuite(target, chosen, ({ rule, verdict, ms }) => {
    if (process.stderr.isTTY) console.error(`  ${rule} ${verdict.kind} (${(ms / 1000).toFixed(1)} s)`);
  });
}

async function proveLocally(processes: number, chosen: typeof checks): Promise<Result[]> {
  const server = await startLocalServer(processes);
  try {
    return await prove(server.target, chosen);
  } finally {
    await server.stop();
    if (server.log !== "") console.error(`The server logged:\n${server.log}`);
  }
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message} See npm run conformance -- --help.`);
  else console.error(error instanceof Unusable ? error.message : error);
  process.exitCode = 2;
}
