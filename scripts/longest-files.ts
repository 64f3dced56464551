import { readFileSync } from "node:fs";
import path from "node:path";
import { listFiles } from "./list-files.ts";
import { root } from "./workspace.ts";

/** The `count` longest hand-written source files, longest first. */
export function longestFiles(count: number): { file: string; lines: number }[] {
  return listFiles()
    .filter((file) => /\.(ts|tsx|mjs|sql)$/.test(file) && !file.includes("/generated/"))
    .map((file) => ({ file, lines: readFileSync(path.join(root, file), "utf8").split("\n").length - 1 }))
    .sort((a, b) => b.lines - a.lines)
    .slice(0, count);
}
