import { defineConfig } from "tsup";

export default defineConfig({
  entry: ["src/main.ts"],
  format: "esm",
  target: "node20",
  sourcemap: true,
  // The contract and the rules of both ends have no build of their own.
  noExternal: [/^@strait\//],
  // As deep as src/store, from where migrate.ts looks for the migrations.
  outDir: "dist/bin",
});
