// Looks at what we would publish (scripts/pack.ts has made it) as its users will: publint (do the files exist, are they
// what package.json says), attw (do the types resolve), whether it imports what nobody can install, size-limit (the budgets in
// .size-limit.js).

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { publishedPackages, tarballOf } from "./published.ts";
import { type Outcome, runTool } from "./run-command.ts";
import { type Manifest, root, type WorkspacePackage } from "./workspace.ts";

const IMPORT = /\b(?:from|import|require)[ (]*["']([^"'\s,]+)["']/g;
const COMMENT = /\/\*[\s\S]*?\*\//g;

for (const item of publishedPackages()) {
  const problem = await check(item);
  if (problem === undefined) continue;
  console.error(problem);
  process.exitCode = 1;
}

/** Resolves to what is wrong with the package, or undefined. */
async function check(item: WorkspacePackage): Promise<string | undefined> {
  const { folder, manifest } = item;
  const publint = await runTool("publint", ["--strict", tarballOf(item)]);
  if (!publint.ok) return failure(folder, "publint", publint);
  const attw = await runTool("attw", ["--profile", "node16", tarballOf(item)]);
  if (!attw.ok) return failure(folder, "attw", attw);
  const missing = missingOf(folder, manifest);
  if (missing !== undefined) return missing;
  if (!existsSync(path.join(root, folder, ".size-limit.js"))) return undefined;
  const size = await runTool("size-limit", [], folder);
  return size.ok ? undefined : failure(folder, "size-limit", size);
}

/**
 * What the files and their declarations import that an install does not bring: anything that is not named by package.json,
 * and in the main entry point also what is optional.
 */
function missingOf(folder: string, manifest: Manifest): string | undefined {
  const { name = "", dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  const peers = Object.keys(peerDependencies);
  const named = new Set([name, ...Object.keys(dependencies), ...peers]);
  const required = new Set([...named].filter((each) => !peerDependenciesMeta[each]?.optional));
  const dist = path.join(root, folder, "dist");
  const built = readdirSync(dist).filter((file) => /\.(c?js|d\.c?ts)$/.test(file));
  const main = built.filter((file) => file.startsWith("index."));
  for (const [files, allowed] of [
    [built, named],
    [main, required],
  ] as const) {
    for (const file of files) {
      const [stranger] = importsOf(dist, file).filter((each) => !allowed.has(each));
      if (stranger !== undefined) return `${folder}/dist/${file} needs ${stranger}, which no install brings`;
    }
  }
  return undefined;
}

/** The packages that a file needs, by itself and by the files beside it that it imports. */
function importsOf(dist: string, file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const code = readFileSync(path.join(dist, file), "utf8").replaceAll(COMMENT, "");
  return [...code.matchAll(IMPORT)].flatMap(([, id = ""]) => {
    if (isBuiltin(id)) return [];
    if (!id.startsWith(".")) return id.split("/", id.startsWith("@") ? 2 : 1).join("/");
    const beside = path.normalize(id);
    const declared = /\.d\.c?ts$/.test(file) ? beside.replace(/\.(c?)js$/, ".d.$1ts") : beside;
    return importsOf(dist, declared, seen);
  });
}

function failure(folder: string, step: string, { output }: Outcome): string {
  return `${folder}: ${step} failed\n${output}`;
}
