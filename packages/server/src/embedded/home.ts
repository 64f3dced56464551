import { createHash } from "node:crypto";
import { access, chmod } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeFolder } from "../make-folder.ts";
import { StartupError } from "../startup-error.ts";
import { closedFolder, type OsUser, otherUser } from "./os-user.ts";

/** Where one embedded PostgreSQL lives. */
export interface Home {
  /** Holds all of it: the data, the log, and a copy of the programs where one is needed. */
  readonly directory: string;
  /** What PostgreSQL calls its data directory. */
  readonly data: string;
  /** What its programs wrote. */
  readonly log: string;
  /** Whom to become to run it; undefined to stay who we are. */
  readonly user: OsUser | undefined;
}

/**
 * Decides who runs the database and where it lives, and makes the folder. That is `directory`, except for root when the
 * user that PostgreSQL runs as cannot get there: then it is a folder of its own in `fallback`, or an error without one.
 */
export async function prepareHome(directory: string, fallback: string | undefined): Promise<Home> {
  const wanted = resolve(directory);
  const user = await otherUser(join(wanted, "data"));
  await makeHome(wanted, user);
  const closed = user && (await closedFolder(wanted, user));
  if (closed === undefined) return homeAt(wanted, user);

  const way = `let the user ${user?.name} enter it (chmod o+x), or set STRAIT_DATA_DIR to a folder that it can reach`;
  if (fallback === undefined) {
    throw new StartupError(`PostgreSQL runs as ${user?.name}, who cannot enter ${closed}; ${way}.`);
  }
  const isHere = await access(join(wanted, "data")).then(
    () => true,
    () => false,
  );
  if (isHere) throw new StartupError(`The database in ${wanted} cannot be reached through ${closed}; ${way}.`);

  const other = join(fallback, createHash("sha256").update(wanted).digest("hex").slice(0, 12));
  await makeHome(other, await otherUser(join(other, "data")));
  return homeAt(other, await otherUser(join(other, "data")));
}

const homeAt = (directory: string, user: OsUser | undefined): Home => ({
  directory,
  data: join(directory, "data"),
  log: join(directory, "postgres.log"),
  user,
});

async function makeHome(directory: string, user: OsUser | undefined): Promise<void> {
  try {
    await makeFolder(directory);
    // Another user has to pass through to its data.
    await chmod(directory, user ? 0o711 : 0o700);
  } catch (error) {
    throw new StartupError(
      `Cannot make the folder ${directory} for the embedded database: ${(error as Error).message}. Set STRAIT_DATA_DIR to a folder of yours.`,
      { cause: error },
    );
  }
}
