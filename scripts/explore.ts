// Plays many schedules of sends, cancellations, deadlines and crashes on real server processes, for the nightly run: the
// same test that `npm test` runs with 300 of them.
//
//   npm run explore                                          10,000 schedules of a new seed
//   npm run explore -- --schedules 300 --seed 1              as the tests do
//   npm run explore -- --schedules 300 --seed 1 --only 17    schedule 17 of those, 300 times over

import { spawnSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "./workspace.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "10000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    only: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
const given = [values.schedules, values.seed, values.only ?? "0"];
if (values.help || !given.every((text) => /^\d{1,10}$/.test(text))) {
  console.log("Usage: npm run explore [-- --schedules NUMBER] [--seed NUMBER] [--only SCHEDULE]");
  process.exitCode = values.help ? 0 : 2;
} else {
  console.log(`${values.schedules} schedules of seed ${values.seed}`);
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  const { status } = spawnSync(process.execPath, [vitest, "run", "packages/server/test/race-explorer.test.ts"], {
    cwd: root,
    stdio: "inherit",
    env: {
      ...process.env,
      STRAIT_EXPLORE_SCHEDULES: values.schedules,
      STRAIT_EXPLORE_SEED: values.seed,
      ...(values.only === undefined ? {} : { STRAIT_EXPLORE_ONLY: values.only }),
    },
  });
  process.exitCode = status ?? 1;
}
