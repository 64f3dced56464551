import { defineConfig, type Options } from "tsup";

const shared: Options = {
  entry: [
    "src/index.ts",
    "src/node.ts",
    "src/openapi.ts",
    "src/ops.ts",
    "src/react-query.ts",
    "src/schemas.ts",
    "src/webhooks.ts",
  ],
  target: "es2022",
  tsconfig: "tsconfig.build.json",
  sourcemap: true,
  // The contract and the rules of both ends are not published on their own.
  noExternal: [/^@strait\//],
};

export default defineConfig([
  { ...shared, format: "esm" },
  // esbuild takes the whole of openapi-fetch's CommonJS file for its default export, so this build carries its ES module.
  { ...shared, format: "cjs", noExternal: [/^@strait\//, "openapi-fetch"] },
  { ...shared, format: ["esm", "cjs"], dts: { only: true } },
]);
