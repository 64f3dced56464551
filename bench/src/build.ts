import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What the builds below write, relative to this folder. */
export const programs = {
  ours: "../../packages/server/dist/bin/main.js",
  sketch: "../dist/sketch.js",
} as const;

/**
 * Builds both servers, since what production runs is a build: the loader of development keeps the names of functions, and
 * pays for it at every closure that a request makes.
 */
export function buildPrograms(): void {
  for (const folder of ["../../packages/server", ".."]) {
    const { status, stderr } = spawnSync("npm", ["run", "build", "--silent"], {
      cwd: fileURLToPath(new URL(folder, import.meta.url)),
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    if (status !== 0) throw new Error(`${folder} cannot be built: ${stderr}`);
  }
}
