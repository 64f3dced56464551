// Builds and packs every package that we publish, as a release would, for the gates that look at the result.

import { mkdirSync, rmSync } from "node:fs";
import { packedFolder, publishedPackages } from "./published.ts";
import { runPnpm } from "./run-command.ts";

rmSync(packedFolder, { recursive: true, force: true });
mkdirSync(packedFolder, { recursive: true });
for (const { folder } of publishedPackages()) {
  for (const step of [
    ["run", "build"],
    ["pack", "--pack-destination", packedFolder],
  ]) {
    const { ok, output } = await runPnpm(step, folder);
    if (ok) continue;
    console.error(`${folder}: pnpm ${step[0]} failed\n${output}`);
    process.exit(1);
  }
}
