import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "server",
    include: ["{src,test}/**/*.test.ts"],
    globalSetup: "test/global-setup.ts",
    // Making a PostgreSQL takes a second, and several on a busy machine.
    testTimeout: 60_000,
  },
});
