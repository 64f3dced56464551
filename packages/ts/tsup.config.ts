import { defineConfig, type Options } from "tsup";

const entries = ["node", "openapi", "ops", "react-query", "schemas", "webhooks"];
/** What the root loads when it is first used. */
const later = ["paths", "stream", "wait"];
/**
 * Entries whose declarations share files. What some of them do not need would stand in a file of its own, where an editor
 * looks up each of its names again after every key, so those that need least are built apart.
 */
const declarations = [
  ["index", "node", "ops", "react-query", "schemas"],
  ["openapi", "webhooks"],
];
/** What the root exports, so that the others take it from there: `instanceof` compares the classes of errors. */
const inRoot = ["index", "errors", "status-errors"];

const shared: Options = {
  target: "es2022",
  tsconfig: "tsconfig.build.json",
  sourcemap: true,
  // One file for each: every further one takes a process that starts half a millisecond.
  splitting: false,
  // Minifiers make "1/0" of this one.
  define: { "Number.POSITIVE_INFINITY": "Infinity" },
  // The contract and the rules of both ends are not published on their own.
  noExternal: [/^@strait\//],
};

export default defineConfig([
  { ...shared, entry: sources(["index"]), format: "esm", esbuildPlugins: [apart(later)] },
  {
    ...shared,
    entry: sources([...entries, ...later]),
    format: "esm",
    esbuildPlugins: [apart(inRoot, "./index.js")],
  },
  // esbuild takes the whole of openapi-fetch's CommonJS file for its default export, so this build carries its ES module.
  { ...shared, entry: sources(["index"]), format: "cjs", noExternal: [/^@strait\//, "openapi-fetch"] },
  { ...shared, entry: sources(entries), format: "cjs", esbuildPlugins: [apart(inRoot, "./index.cjs")] },
  ...declarations.map(
    (names): Options => ({ ...shared, entry: sources(names), format: ["esm", "cjs"], dts: { only: true } }),
  ),
]);

function sources(names: readonly string[]): string[] {
  return names.map((name) => `src/${name}.ts`);
}

/** Leaves modules out of a build, which finds them in `file` instead, or each in one of its own. */
function apart(modules: readonly string[], file?: string): NonNullable<Options["esbuildPlugins"]>[number] {
  return {
    name: "apart",
    setup(build) {
      build.onResolve({ filter: new RegExp(`^\\./(${modules.join("|")})\\.ts$`) }, ({ path }) => ({
        path: file ?? path.replace(/ts$/, "js"),
        external: true,
      }));
    },
  };
}
