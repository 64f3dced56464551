import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** A folder of the workspace is a project; one that needs a setup of its own has its own `vitest.config.ts`. */
export default defineConfig({
  test: {
    // Tests wait for PostgreSQL and for processes: with one worker, which is the default for two cores, a core stands idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      "packages/*",
      "examples/*",
      "{bench,conformance}",
      // Some of them run the compiler.
      { test: { name: "scripts", include: ["scripts/**/*.test.ts"], testTimeout: 60_000 } },
    ],
  },
});
