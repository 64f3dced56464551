import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";

/** The folder that holds the repository, as an absolute path. */
export const root = path.dirname(import.meta.dirname);

/** What our checks read of a package.json; the file may say more. */
export interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly private?: boolean;
  readonly description?: string;
  readonly license?: string;
  readonly type?: string;
  readonly packageManager?: string;
  readonly engines?: { readonly node?: string };
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly files?: readonly string[];
  readonly publishConfig?: { readonly access?: string; readonly exports?: Readonly<Record<string, unknown>> };
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** A folder of the workspace. `folder` is relative to the root, with forward slashes: `packages/core`. */
export interface WorkspacePackage {
  readonly folder: string;
  readonly manifest: Manifest;
}

interface WorkspaceFile {
  readonly packages: readonly string[];
  readonly catalog: Readonly<Record<string, string>>;
}

/** Reads `pnpm-workspace.yaml`. */
export function readWorkspaceFile(): WorkspaceFile {
  return parse(readFileSync(path.join(root, "pnpm-workspace.yaml"), "utf8")) as WorkspaceFile;
}

/** Reads the package.json in `folder`, which is relative to the root. */
export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8")) as Manifest;
}

/** Lists the packages of the workspace in alphabetical order, without the root. */
export function listPackages(): WorkspacePackage[] {
  return readWorkspaceFile()
    .packages.flatMap(expand)
    .filter((folder) => existsSync(path.join(root, folder, "package.json")))
    .sort()
    .map((folder) => ({ folder, manifest: readManifest(folder) }));
}

/** Lists the folders that a line of `packages:` names: one folder, or with `/*` everything in it. */
function expand(pattern: string): string[] {
  if (!pattern.endsWith("/*")) return [pattern];
  const parent = pattern.slice(0, -2);
  if (!existsSync(path.join(root, parent))) return [];
  return readdirSync(path.join(root, parent)).map((name) => `${parent}/${name}`);
}
