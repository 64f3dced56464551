// Compares the contract with that of the last release, openapi/released.json, and fails when a change of it needs more than
// what the files of .changeset/ announce. Until the first release there is nothing to break.
//
//   node --import tsx scripts/check-release.ts            compares
//   node --import tsx scripts/check-release.ts --record   after `changeset version`: keeps the contract as the released one

import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { apiChanges, plannedLevel, releaseProblems } from "./api-changes.ts";
import { root } from "./workspace.ts";

const released = path.join(root, "openapi/released.json");
const current = path.join(root, "packages/contract/openapi.json");

if (process.argv.includes("--record")) {
  copyFileSync(current, released);
} else if (existsSync(released)) {
  const problems = releaseProblems(await apiChanges(released, current), plannedLevel(pendingChangesets()));
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

function pendingChangesets(): string[] {
  const folder = path.join(root, ".changeset");
  const files = readdirSync(folder).filter((file) => file.endsWith(".md") && file !== "README.md");
  return files.map((file) => readFileSync(path.join(folder, file), "utf8"));
}
