// Releases what we publish, in two steps with a commit between them:
//
//   npm run release -- prepare   versions and changelogs out of the changesets, and the contract that goes out with them
//   npm run release -- publish   builds what was prepared, publishes it and tags it
//
// Preparing also runs the tests of the last release against the code of this one.

import { findReleaseProblems, isContractRecorded, plannedLevel, recordContract } from "./api-changes.ts";
import { runEarlierTests } from "./earlier-tests.ts";
import { type Outcome, runPnpm, runScript, runTool } from "./run-command.ts";
import { root } from "./workspace.ts";

const steps: Readonly<Record<string, () => Promise<void>>> = { prepare, publish };
const step = steps[process.argv[2] ?? ""];
try {
  if (!step) throw new Error("Usage: npm run release -- prepare | publish");
  await step();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function prepare(): Promise<void> {
  const planned = await plannedLevel(root);
  if (!planned)
    throw new Error("There is nothing to release: .changeset/ has no changeset for @strait/ts or @strait/msw.");
  const problems = await findReleaseProblems(root);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  if (planned === "major") console.log("The tests of the last release are skipped: a major release may break them.");
  else mustPass(await runEarlierTests());
  mustPass(await runTool("changeset", ["version"]));
  recordContract(root);
  console.log(`A ${planned} release is prepared. Commit it, merge it, then: npm run release -- publish`);
}

async function publish(): Promise<void> {
  if (await plannedLevel(root)) throw new Error("There are changesets left. First: npm run release -- prepare");
  if (!isContractRecorded(root)) {
    throw new Error("openapi/released.json is not the contract: it changed after `npm run release -- prepare`.");
  }
  mustPass(await runScript("scripts/build.ts"));
  // Through pnpm, which puts `publishConfig` and the versions of the catalog into what it packs.
  mustPass(await runPnpm(["exec", "changeset", "publish"]));
  console.log("Published. The tags are to be pushed: git push --follow-tags");
}

/** Shows what a step printed. @throws {Error} When it failed. */
function mustPass({ ok, output }: Outcome): void {
  if (!ok) throw new Error(output);
  console.log(output);
}
