// Makes everything that follows from openapi/: the contract, the tables of the client, the mocks, the reference; and the parts of pages that follow from
// the code: the state diagrams, the table of rules.
// With `--check` it writes nothing and fails when something is out of date.

import path from "node:path";
import process from "node:process";
import { runGenerators, type Step } from "./generate/pipeline.ts";
import { SpecError } from "./generate/spec.ts";

const root = path.dirname(import.meta.dirname);

function summary({ name, files, outdated, ms }: Step, check: boolean): string {
  const state = outdated.length === 0 ? "up to date" : `${outdated.length} ${check ? "out of date" : "written"}`;
  const count = `${files} ${files === 1 ? "file" : "files"}`;
  return `${name.padEnd(15)} ${count.padEnd(8)} ${state.padEnd(15)} ${ms.toFixed(0).padStart(5)} ms`;
}

async function main(args: readonly string[]): Promise<number> {
  const check = args.includes("--check");
  const unknown = args.find((arg) => arg !== "--check");
  if (unknown) {
    console.error(`Unknown argument ${unknown}. Usage: npm run generate [-- --check]`);
    return 2;
  }

  const steps = await runGenerators(root, check);
  for (const step of steps) console.log(summary(step, check));
  const outdated = steps.flatMap((step) => step.outdated);
  if (!check || outdated.length === 0) return 0;
  console.error(`\nOut of date:\n  ${outdated.join("\n  ")}\nRun \`npm run generate\` and commit the result.`);
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SpecError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
