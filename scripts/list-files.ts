import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { root } from "./workspace.ts";

/** Lists the files of the repository that git does not ignore, new ones included, relative to the root. */
export function listFiles(): string[] {
  const output = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  // A file that was deleted but not yet committed is still in the index.
  return output.split("\0").filter((file) => file !== "" && existsSync(path.join(root, file)));
}
