import { defineConfig } from "vitest/config";

/** A folder of the workspace is a project; one that needs a setup of its own has its own `vitest.config.ts`. */
export default defineConfig({
  test: {
    projects: [
      "packages/*",
      "examples/*",
      "{bench,conformance}",
      { test: { name: "scripts", include: ["scripts/**/*.test.ts"] } },
    ],
  },
});
