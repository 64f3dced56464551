// Looks at what we would publish (scripts/pack.ts has made it) as its users will: publint (do the files exist, are they
// what package.json says), attw (do the types resolve), size-limit (the budgets in .size-limit.js).

import { existsSync } from "node:fs";
import path from "node:path";
import { publishedPackages, tarballOf } from "./published.ts";
import { type Outcome, runTool } from "./run-command.ts";
import { root, type WorkspacePackage } from "./workspace.ts";

for (const item of publishedPackages()) {
  const problem = await check(item);
  if (problem === undefined) continue;
  console.error(problem);
  process.exitCode = 1;
}

/** Resolves to what is wrong with the package, or undefined. */
async function check(item: WorkspacePackage): Promise<string | undefined> {
  const { folder } = item;
  const publint = await runTool("publint", ["--strict", tarballOf(item)]);
  if (!publint.ok) return failure(folder, "publint", publint);
  const attw = await runTool("attw", ["--profile", "node16", tarballOf(item)]);
  if (!attw.ok) return failure(folder, "attw", attw);
  if (!existsSync(path.join(root, folder, ".size-limit.js"))) return undefined;
  const size = await runTool("size-limit", [], folder);
  return size.ok ? undefined : failure(folder, "size-limit", size);
}

function failure(folder: string, step: string, { output }: Outcome): string {
  return `${folder}: ${step} failed\n${output}`;
}
