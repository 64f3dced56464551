import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { runCommand } from "../run-command.ts";
import { root } from "../workspace.ts";

/** The programs that the packages are tried with. */
export interface Tools {
  /** The folder of an installed package; undefined when npm has none for this platform. */
  folderOf(name: string): string | undefined;
  /** The program that a package puts on the path; undefined when npm has none for this platform. */
  programOf(name: string): string | undefined;
}

/** Why something is not tried: optional dependencies that do not fit the platform are left out. */
export const NOT_THERE = "npm has none for this platform";

const manifest = path.join(import.meta.dirname, "package.json");
const DONE = ".installed";

/** Installs what package.json here names, unless that has been done. @throws {Error} When npm fails. */
export async function installRuntimes(): Promise<Tools> {
  const cache = path.join(root, "node_modules", ".cache", "runtimes");
  const id = createHash("sha256").update(readFileSync(manifest)).update(`${process.platform} ${process.arch}`);
  const folder = path.join(cache, id.digest("hex").slice(0, 16));
  if (!existsSync(path.join(folder, DONE))) {
    // What an earlier package.json named takes half a gigabyte.
    rmSync(cache, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    copyFileSync(manifest, path.join(folder, "package.json"));
    await npmInstall(folder);
    writeFileSync(path.join(folder, DONE), "");
  }
  const modules = path.join(folder, "node_modules");
  const installed = new Set(readdirSync(modules));
  return {
    folderOf: (name) => (installed.has(name) ? path.join(modules, name) : undefined),
    programOf: (name) => (installed.has(name) ? path.join(modules, ".bin", name) : undefined),
  };
}

/** Installs into `folder`, which has a package.json or gets one. @throws {Error} With what npm said. */
export async function npmInstall(folder: string, packages: readonly string[] = []): Promise<void> {
  const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", "--loglevel=error"];
  const { ok, output } = await runCommand("npm", ["install", ...quiet, ...packages], folder);
  if (!ok) throw new Error(`npm install failed in ${folder}\n${output}`);
}
