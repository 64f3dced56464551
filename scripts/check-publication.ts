// Builds and packs every package that we publish, as a release would, and looks at the result as its users will:
// the package's own scripts/smoke.mjs (does the build run), publint (do the files exist, are they what package.json says),
// attw (do the types resolve), size-limit (the budgets in .size-limit.js).

import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Outcome, runCommand, runPnpm, runTool } from "./run-command.ts";
import { listPackages, root, type WorkspacePackage } from "./workspace.ts";

const published = listPackages().filter(({ manifest }) => !manifest.private);
if (published.length === 0) {
  console.error("No package is published: is `private` set by mistake?");
  process.exitCode = 1;
}
for (const item of published) {
  const problem = await check(item);
  if (problem === undefined) continue;
  console.error(problem);
  process.exitCode = 1;
}

/** Resolves to what is wrong with the package, or undefined. */
async function check({ folder }: WorkspacePackage): Promise<string | undefined> {
  const destination = mkdtempSync(path.join(tmpdir(), "strait-pack-"));
  try {
    const built = await runPnpm(["run", "build"], folder);
    if (!built.ok) return failure(folder, "build", built);
    if (existsSync(path.join(root, folder, "scripts", "smoke.mjs"))) {
      const smoke = await runCommand(process.execPath, ["scripts/smoke.mjs"], folder);
      if (!smoke.ok) return failure(folder, "scripts/smoke.mjs", smoke);
    }
    const packed = await runPnpm(["pack", "--pack-destination", destination], folder);
    if (!packed.ok) return failure(folder, "pnpm pack", packed);

    const tarball = path.join(destination, readdirSync(destination)[0] ?? "");
    const publint = await runTool("publint", ["--strict", tarball]);
    if (!publint.ok) return failure(folder, "publint", publint);
    const attw = await runTool("attw", ["--profile", "node16", tarball]);
    if (!attw.ok) return failure(folder, "attw", attw);
    if (!existsSync(path.join(root, folder, ".size-limit.js"))) return undefined;
    const size = await runTool("size-limit", [], folder);
    return size.ok ? undefined : failure(folder, "size-limit", size);
  } finally {
    rmSync(destination, { recursive: true, force: true });
  }
}

function failure(folder: string, step: string, { output }: Outcome): string {
  return `${folder}: ${step} failed\n${output}`;
}
