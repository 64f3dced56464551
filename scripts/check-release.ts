// Compares the contract with that of the last release, openapi/released.json, and fails when a change of it needs more than
// what the files of .changeset/ announce, or when no release can be made of these. Until the first release there is nothing to
// break. `npm run release -- prepare` records the contract.

import { findReleaseProblems } from "./api-changes.ts";
import { root } from "./workspace.ts";

const problems = await findReleaseProblems(root);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
