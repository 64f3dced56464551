import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

export const root = path.resolve(import.meta.dirname, "..", "..", "..");
const tools = path.join(root, "node_modules", ".bin");

/** What the others need, so that nobody who only runs the tests installs it. */
const dependencies = {
  "@hey-api/openapi-ts": "0.95.0",
  esbuild: "0.28.2",
  "eventsource-parser": "3.1.1",
  openai: "6.49.0",
  "openapi-fetch": "0.17.0",
  typescript: "5.9.3",
  "typescript-7.0": "npm:typescript@7.0.2",
  undici: "7.30.2",
};

/** Where the contenders stand, side by side. */
export interface Workshop {
  /** Holds `node_modules`, and `gen/` with what was generated from our contract. */
  readonly folder: string;
  /** The built package of ours. */
  readonly ours: string;
  /** The compiler of the repository, and the next one. */
  readonly tsc: string;
  readonly nextTsc: string;
}

/** Installs the contenders beside the other caches, and generates their clients, and builds ours, from our contract. */
export function prepare(): Workshop {
  const folder = path.join(root, "node_modules", ".cache", "bench-sdk");
  const manifest = JSON.stringify({ private: true, type: "module", dependencies });
  const stamp = path.join(folder, "installed.json");
  mkdirSync(folder, { recursive: true });
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== manifest) {
    console.error("Installing the contenders …");
    writeFileSync(path.join(folder, "package.json"), manifest);
    run("npm", ["install", "--no-audit", "--no-fund"], folder);
    writeFileSync(stamp, manifest);
  }

  console.error("Generating the contenders, and building ours …");
  generateOthers(folder, path.join(root, "packages", "contract", "openapi.json"), path.join(folder, "gen"));
  writeFileSync(
    path.join(folder, "gen", "hey-api-entry.ts"),
    'export { createClient } from "./hey-api/client";\nexport { postV1EventsByEventKeySend } from "./hey-api/sdk.gen";\n',
  );
  bundle(folder, "gen/hey-api-entry.ts", "gen/hey-api.mjs");
  bundle(folder, "gen/hey-api/sdk.gen.ts", "gen/hey-api-all.mjs");
  bundle(folder, "gen/redocly/client.ts", "gen/redocly.mjs");
  // What a file imports is looked for around it, so one that stands there imports for us.
  writeFileSync(path.join(folder, "import.mjs"), "export const load = (id) => import(id);\n");

  const ours = path.join(root, "packages", "ts");
  buildOurs(ours);
  const nextTsc = path.join(folder, "node_modules", "typescript-7.0", "bin", "tsc");
  return { folder, ours, tsc: path.join(tools, "tsc"), nextTsc };
}

/**
 * Generates the clients of the others.
 *
 * @param spec - The file of the contract.
 * @param into - A folder of the workshop.
 */
export function generateOthers(workshop: string, spec: string, into: string): void {
  const out = (name: string): string => path.join(into, name);
  run(
    path.join(tools, "openapi-typescript"),
    [spec, "-o", out("openapi.d.ts"), "--default-non-nullable=false"],
    workshop,
  );
  run("npx", ["openapi-ts", "-i", spec, "-o", out("hey-api"), "-c", "@hey-api/client-fetch"], workshop);
  const redocly = ["generate-client", spec, "-o", out("redocly/client.ts"), "--args-style", "grouped"];
  run(path.join(tools, "redocly"), redocly, workshop);
}

/** Builds the package of our client that stands in the folder. */
export function buildOurs(folder: string): void {
  run(path.join(root, "packages", "ts", "node_modules", ".bin", "tsup"), [], folder);
}

function bundle(folder: string, entry: string, outfile: string): void {
  run("npx", ["esbuild", entry, "--bundle", "--format=esm", "--platform=node", `--outfile=${outfile}`], folder);
}

function run(command: string, args: readonly string[], cwd: string): void {
  try {
    execFileSync(command, args, { cwd, stdio: "pipe", shell: process.platform === "win32" });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: unknown; readonly stderr?: unknown };
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}
