import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder with those above it. Unlike Node's `recursive`, which never returns where the system says that the folder
 * above is missing and will not have it made, as in `/proc`.
 *
 * @throws What `mkdir` throws.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(path) !== path) {
      await makeFolder(dirname(path));
      await mkdir(path).catch(unlessThere(path));
    } else await unlessThere(path)(error);
  }
}

const unlessThere = (path: string) => async (error: unknown) => {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw error;
};
