import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { StartupError } from "../startup-error.ts";

/** The operating system's user that PostgreSQL runs as. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Whom to become to run PostgreSQL, which refuses root: the owner of `existing` data, else `postgres` or `nobody`, since
 * initdb wants a user that the system knows by name. Undefined when this process is no root and so stays who it is.
 */
export async function otherUser(existing: string): Promise<OsUser | undefined> {
  if (!isRoot()) return undefined;
  const users = await namedUsers();
  const owner = await stat(existing).catch(() => undefined);
  if (owner && owner.uid !== 0) {
    const name = users.find((user) => user.uid === owner.uid)?.name ?? `user ${owner.uid}`;
    return { name, uid: owner.uid, gid: owner.gid };
  }
  const user = users.find(({ name }) => name === "postgres") ?? users.find(({ name }) => name === "nobody");
  if (user) return user;
  throw new StartupError(
    'PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as; start as another user, or set DATABASE_URL to a PostgreSQL of your own.',
  );
}

async function namedUsers(): Promise<OsUser[]> {
  const lines = (await readFile("/etc/passwd", "utf8").catch(() => "")).split("\n");
  return lines.flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    // macOS writes 4294967294 as -2.
    return name && uid && gid ? { name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 } : [];
  });
}

/** The folder above `path`, or `path` itself, that `user` may not enter, by its mode bits. Missing folders do not count. */
export async function closedFolder(path: string, user: OsUser): Promise<string | undefined> {
  const parent = dirname(path);
  const above = parent === path ? undefined : await closedFolder(parent, user);
  if (above !== undefined) return above;
  const folder = await stat(path).catch(() => undefined);
  if (folder === undefined || !folder.isDirectory()) return undefined;
  const bit = folder.uid === user.uid ? 0o100 : folder.gid === user.gid ? 0o010 : 0o001;
  return (folder.mode & bit) === 0 ? path : undefined;
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    const belongsToAnotherUser = (error as NodeJS.ErrnoException).code === "EPERM";
    return belongsToAnotherUser;
  }
}
