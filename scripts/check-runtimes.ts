// Installs what we would publish (scripts/pack.ts has made it) into an empty directory with npm, and uses it there as a
// user would: in every runtime and under every version of TypeScript that we say it works with.
//
// The runtimes are those of scripts/runtimes/package.json. They are installed once, below node_modules/.cache.

import { cpus } from "node:os";
import { compilers } from "./runtimes/compilers.ts";
import { makeConsumer } from "./runtimes/consumer.ts";
import { installRuntimes } from "./runtimes/install.ts";
import { runtimes } from "./runtimes/runtimes.ts";
import { startRuntimesServer } from "./runtimes/server.ts";
import type { Trial } from "./runtimes/trial.ts";

const tools = await installRuntimes();
const consumer = await makeConsumer();
const server = await startRuntimesServer();
try {
  await tryAll([...compilers(consumer, tools), ...runtimes(consumer, tools, server)]);
} finally {
  await server.close();
  consumer.remove();
}

async function tryAll(trials: readonly Trial[]): Promise<void> {
  const waiting = [...trials];
  async function work(): Promise<void> {
    for (let trial = waiting.shift(); trial; trial = waiting.shift()) {
      if (trial.skipped !== undefined) {
        console.log(`skipped: ${trial.name}: ${trial.skipped}`);
        continue;
      }
      const started = performance.now();
      const problem = await trial.run();
      console.log(`${problem === undefined ? "✓" : "✗"} ${trial.name} (${Math.round(performance.now() - started)} ms)`);
      if (problem === undefined) continue;
      console.log(problem.replace(/^/gm, "    "));
      process.exitCode = 1;
    }
  }
  await Promise.all(cpus().map(work));
}
