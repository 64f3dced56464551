// Looks at what we would publish (scripts/pack.ts has made it) as its users will: publint (do the files exist, are they
// what package.json says), attw (do the types resolve), whether it imports what nobody can install, size-limit (the budgets in
// .size-limit.js).

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { publishedPackages, tarballOf } from "./published.ts";
import { type Outcome, runTool } from "./run-command.ts";
import { listPackages, root, type WorkspacePackage } from "./workspace.ts";

const unpublished = listPackages().flatMap(({ manifest }) => (manifest.private && manifest.name) || []);

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
  const unbundled = importsOf(folder).filter((name) => unpublished.some((other) => `${name}/`.startsWith(`${other}/`)));
  if (unbundled.length > 0) return `${folder}/dist imports ${unbundled.join(" and ")}, which is not published`;
  if (!existsSync(path.join(root, folder, ".size-limit.js"))) return undefined;
  const size = await runTool("size-limit", [], folder);
  return size.ok ? undefined : failure(folder, "size-limit", size);
}

/** What the built files and their declarations import from other packages. */
function importsOf(folder: string): string[] {
  const dist = path.join(root, folder, "dist");
  const files = readdirSync(dist).filter((file) => /\.(c?js|d\.c?ts)$/.test(file));
  const names = files.flatMap((file) =>
    [
      ...readFileSync(path.join(dist, file), "utf8").matchAll(/\b(?:from|import|require)[ (]*["'](@?\w[^"']*)["']/g),
    ].map(([, name = ""]) => name),
  );
  return [...new Set(names)];
}

function failure(folder: string, step: string, { output }: Outcome): string {
  return `${folder}: ${step} failed\n${output}`;
}
