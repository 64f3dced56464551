import path from "node:path";
import { runCommand } from "../run-command.ts";
import type { Consumer } from "./consumer.ts";
import { NOT_THERE, type Tools } from "./install.ts";
import type { Trial } from "./trial.ts";

/** Compiles the programs of a user with each version of TypeScript, as ES modules and as CommonJS. */
export function compilers({ folder }: Consumer, { folderOf }: Tools): Trial[] {
  const nodeTypes = folderOf("@types");
  return [
    compiler("5.4"),
    compiler("5.9"),
    compiler("6.0"),
    compiler("7.0"),
    compiler("7.0", " for a bundler", ["--module", "esnext", "--moduleResolution", "bundler"]),
    compiler("7.0", " without the types of browsers", [
      ...["--lib", "es2022", "--types", "node", "--typeRoots", nodeTypes ?? ""],
    ]),
    // The declarations of MSW itself do not compile under the older one.
    compiler("5.4", ", the mocks", ["--skipLibCheck"], "tsconfig.mocks.json"),
    compiler("7.0", ", the mocks", [], "tsconfig.mocks.json"),
  ];

  function compiler(version: string, how = "", options: readonly string[] = [], project = "tsconfig.json"): Trial {
    const installed = folderOf(`typescript-${version}`);
    return {
      name: `TypeScript ${version}${how}`,
      skipped: installed === undefined ? NOT_THERE : undefined,
      async run() {
        const tsc = path.join(installed ?? "", "bin", "tsc");
        const { ok, output } = await runCommand(process.execPath, [tsc, "--project", project, ...options], folder);
        return ok ? undefined : output;
      },
    };
  }
}
