import { defineConfig } from "vitest/config";

export default defineConfig({
  // A server with its database starts in a second, and in several on a busy machine.
  test: { name: "example approvals", include: ["test/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 60_000 },
});
