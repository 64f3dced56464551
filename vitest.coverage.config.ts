import { defineConfig } from "vitest/config";

/**
 * The pure code, and the tests that stand beside it: a decision without I/O has no excuse for an untried branch.
 * Kept apart from `vitest.config.ts`, because these tests need no database and run in seconds.
 */
export default defineConfig({
  test: {
    include: ["packages/core/{src,test}/**/*.test.ts", "packages/server/src/domain/**/*.test.ts"],
    coverage: {
      provider: "v8",
      reporter: ["text"],
      skipFull: true,
      include: ["packages/core/src/**/*.ts", "packages/server/src/domain/**/*.ts"],
      exclude: ["**/*.test.ts"],
      thresholds: { branches: 100 },
    },
  },
});
