import { defineConfig, type Options } from "tsup";

const shared: Options = {
  entry: ["src/index.ts"],
  target: "es2022",
  tsconfig: "tsconfig.build.json",
  sourcemap: true,
  // The contract, the rules of both ends and the decisions of the server are not published on their own.
  noExternal: [/^@strait\//],
};

export default defineConfig([
  { ...shared, format: "esm" },
  // There is no CommonJS of the library that evaluates filters, and not every program can require an ES module.
  { ...shared, format: "cjs", noExternal: [/^@strait\//, "@marcbachmann/cel-js"] },
  { ...shared, format: ["esm", "cjs"], dts: { only: true } },
]);
