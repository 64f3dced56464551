import { defineConfig } from "vitest/config";

/** A folder of the workspace is a project; one that needs a setup of its own has its own `vitest.config.ts`. */
export default defineConfig({
  test: {
    projects: [
      "packages/*",
      "examples/*",
      "{bench,conformance}",
      // Some of them run the compiler.
      { test: { name: "scripts", include: ["scripts/**/*.test.ts"], testTimeout: 60_000 } },
    ],
  },
});
