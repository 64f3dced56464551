// Compares the contract with that of the last release, openapi/released.json, and fails when a change of it needs more than
// what the files of .changeset/ announce, or when no release can be made of these. Until the first release there is nothing to
// break.
//
//   node --import tsx scripts/check-release.ts            compares
//   node --import tsx scripts/check-release.ts --record   after `changeset version`: keeps the contract as the released one

import { copyFileSync, existsSync } from "node:fs";
import path from "node:path";
import { apiChanges, plannedLevel, releaseProblems } from "./api-changes.ts";
import { root } from "./workspace.ts";

const released = path.join(root, "openapi/released.json");
const current = path.join(root, "packages/contract/openapi.json");

if (process.argv.includes("--record")) {
  copyFileSync(current, released);
} else {
  const planned = await plannedLevel(root);
  const changes = existsSync(released) ? await apiChanges(released, current) : [];
  const problems = releaseProblems(changes, planned);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
