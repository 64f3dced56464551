import { defineConfig } from "tsup";

export default defineConfig({
  entry: { sketch: "sketch/server.ts" },
  format: "esm",
  target: "node20",
  outDir: "dist",
});
