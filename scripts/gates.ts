import { existsSync } from "node:fs";
import path from "node:path";
import { inSequence, type Outcome, runScript, runTool } from "./run-command.ts";
import { listPackages, root } from "./workspace.ts";

/** Something that must hold before a change lands. */
export interface Gate {
  readonly name: string;
  /** What it makes sure of, as one line of `npm run check -- --help`. */
  readonly promise: string;
  check(): Promise<Outcome>;
}

/** In the order in which they start: the slow ones first, since two run at a time. */
export const gates: readonly Gate[] = [
  {
    name: "types",
    promise: "every package compiles under the strict configuration",
    check: () => inSequence(projects().map((folder) => () => checkTypes(folder))),
  },
  {
    name: "publication",
    promise: "the packages that we publish have types, files, imports and sizes that hold (publint, attw, size-limit)",
    check: () => oncePacked("scripts/check-publication.ts"),
  },
  {
    name: "runtimes",
    promise: "what we publish works in Node.js, Bun, Deno, workerd and a browser, and under TypeScript 5.4 to 7.0",
    check: () => oncePacked("scripts/check-runtimes.ts"),
  },
  {
    name: "coverage",
    promise: "every branch of the pure code (core, domain) is tried",
    check: () => runTool("vitest", ["run", "--config", "vitest.coverage.config.ts", "--coverage"]),
  },
  {
    name: "docs",
    promise: "links in Markdown lead somewhere, and its TypeScript compiles",
    check: () => runScript("scripts/check-docs.ts"),
  },
  {
    name: "generated",
    promise: "what is generated from openapi/ is up to date",
    check: () => runScript("scripts/generate.ts", ["--check"]),
  },
  {
    name: "contract",
    promise: "openapi/ follows the rules of redocly.yaml",
    check: () => runTool("redocly", ["lint", "openapi/openapi.yaml"]),
  },
  {
    name: "release",
    promise: "what changes for clients of the API comes with a changeset that says so (redocly diff)",
    check: () => runScript("scripts/check-release.ts"),
  },
  {
    name: "rules",
    promise: "every rule that conformance/src/rules.ts lists has a test",
    check: () => runScript("scripts/check-rules.ts"),
  },
  {
    name: "dead-code",
    promise: "no file, export or dependency is unused (knip)",
    check: () => runTool("knip", ["--no-progress"]),
  },
  {
    name: "spelling",
    promise: "American spelling in pages, comments and messages (cspell)",
    check: () => runTool("cspell", ["lint", "--no-progress", "--no-summary", "--dot", "--gitignore", "**"]),
  },
  {
    name: "imports",
    promise: "imports follow the arrows of ARCHITECTURE.md, without cycles (dependency-cruiser)",
    check: () => runTool("depcruise", ["--output-type", "err-long", ...sourceFolders()]),
  },
  {
    name: "lint",
    promise: "format and lint rules (biome)",
    check: () => runTool("biome", ["check", "--colors=off", "--max-diagnostics=50", "."]),
  },
  {
    name: "packages",
    promise: "every package.json says the same things the same way",
    check: () => runScript("scripts/check-packages.ts"),
  },
];

let packing: Promise<Outcome> | undefined;

/** Runs a script that needs what `scripts/pack.ts` makes. */
async function oncePacked(script: string): Promise<Outcome> {
  packing ??= runScript("scripts/pack.ts");
  const packed = await packing;
  return packed.ok ? runScript(script) : packed;
}

/** The folders with a tsconfig.json of their own; the root's covers the scripts. */
function projects(): string[] {
  const folders = listPackages().map(({ folder }) => folder);
  return [".", ...folders].filter((folder) => existsSync(path.join(root, folder, "tsconfig.json")));
}

function checkTypes(folder: string): Promise<Outcome> {
  const cache = path.join(root, "node_modules", ".cache", "tsc", `${folder.replaceAll("/", "-")}.tsbuildinfo`);
  return runTool("tsc", ["--project", folder, "--incremental", "--tsBuildInfoFile", cache]);
}

function sourceFolders(): string[] {
  return ["packages", "examples", "bench", "conformance", "scripts"].filter((folder) =>
    existsSync(path.join(root, folder)),
  );
}
