// Builds what is published. Turbo knows the order and skips what has not changed; it finds its tasks through pnpm.

import { spawnSync } from "node:child_process";
import { readManifest, root } from "./workspace.ts";

const { packageManager = "pnpm" } = readManifest(".");
const { status } = spawnSync(
  "npx",
  ["--yes", packageManager, "exec", "turbo", "run", "build", ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" },
    shell: process.platform === "win32",
  },
);
process.exitCode = status ?? 1;
