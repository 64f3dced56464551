import { defineConfig } from "vitest/config";

export default defineConfig({
  // The suite is one hook: it runs all rules at once, and the tests tell what became of each.
  test: { name: "conformance", include: ["test/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 180_000 },
});
