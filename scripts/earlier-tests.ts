import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { publishedPackages } from "./published.ts";
import { inSequence, type Outcome, runCommand, runTool } from "./run-command.ts";
import { root, type WorkspacePackage } from "./workspace.ts";

/** Beside `test`, so that what the tests import is the code of today. */
const FOLDER = "test-of-last-release";

/** The tag of the last release that `HEAD` goes back to; undefined before the first one. */
async function lastRelease(): Promise<string | undefined> {
  const { output } = await runCommand("git", [
    ...["tag", "--list", "@strait/ts@*", "--merged", "HEAD", "--sort=-version:refname"],
  ]);
  return output.split("\n").find((line) => line.startsWith("@strait/ts@"));
}

/**
 * Compiles and runs the tests of the last release against the code of today: those that use nothing but what the packages
 * export, since all else may change. What they say still has to hold unless the next release is a major one.
 */
export async function runEarlierTests(): Promise<Outcome> {
  const tag = await lastRelease();
  if (!tag) return { ok: true, output: "The tests of the last release are skipped: there is no earlier release." };
  const packages = publishedPackages();
  try {
    for (const item of packages) await bringTests(item, tag);
    const folders = packages.map(({ folder }) => `${folder}/${FOLDER}`);
    const { ok, output } = await inSequence([
      ...folders.map((folder) => () => runTool("tsc", ["--project", folder])),
      () => runTool("vitest", ["run", ...folders]),
    ]);
    return { ok, output: ok ? `The tests of ${tag} pass.` : `The tests of ${tag} fail.\n${output}` };
  } finally {
    for (const { folder } of packages) rmSync(path.join(root, folder, FOLDER), { recursive: true, force: true });
  }
}

/** Puts the tests that a package had at a tag, as far as they are of use, beside its present ones. */
async function bringTests({ folder, manifest }: WorkspacePackage, tag: string): Promise<void> {
  const scratch = mkdtempSync(path.join(tmpdir(), "strait-earlier-"));
  try {
    const archive = path.join(scratch, "tests.tar");
    const steps = [
      () => runCommand("git", ["archive", `--output=${archive}`, tag, `${folder}/test`]),
      () => runCommand("tar", ["-xf", archive, "-C", scratch]),
    ];
    const { ok, output } = await inSequence(steps);
    if (!ok) throw new Error(output);
    const target = path.join(root, folder, FOLDER);
    rmSync(target, { recursive: true, force: true });
    cpSync(path.join(scratch, folder, "test"), target, { recursive: true });
    const entries = Object.values(manifest.exports ?? {}).map((entry) => path.join(root, folder, String(entry)));
    const files = readdirSync(target, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    const texts = new Map(
      files.map((name) => [path.join(target, name), readFileSync(path.join(target, name), "utf8")] as const),
    );
    const kept = publicTests(texts, entries);
    for (const file of texts.keys()) if (file.endsWith(".test.ts") && !kept.includes(file)) rmSync(file);
    const config = { extends: "../tsconfig.json", include: kept.map((file) => path.relative(target, file)) };
    writeFileSync(path.join(target, "tsconfig.json"), JSON.stringify(config));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * The tests that reach nothing beyond `entries`, be it through what they share with other tests.
 *
 * @param files - The texts of tests and of what they share, by absolute path.
 * @param entries - The absolute paths of what the package exports.
 */
export function publicTests(files: ReadonlyMap<string, string>, entries: readonly string[]): string[] {
  const isPublic = (file: string, seen: ReadonlySet<string>): boolean => {
    const text = files.get(file);
    if (text === undefined) return entries.includes(file);
    if (seen.has(file)) return true;
    const imports = [...text.matchAll(/(?:from|import)[ (]+"(\.[^"]+)"/g)].map(([, name = ""]) =>
      path.join(path.dirname(file), name),
    );
    return imports.every((imported) => isPublic(imported, new Set([...seen, file])));
  };
  return [...files.keys()].filter((file) => file.endsWith(".test.ts") && isPublic(file, new Set()));
}
