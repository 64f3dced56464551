import path from "node:path";
import { runCommand } from "../run-command.ts";
import type { Consumer } from "./consumer.ts";
import { NOT_THERE, type Tools } from "./install.ts";
import type { Trial } from "./trial.ts";

/** Compiles the program of a user with each version of TypeScript, as ES module and as CommonJS. */
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
  ];

  function compiler(version: string, how = "", options: readonly string[] = []): Trial {
    const installed = folderOf(`typescript-${version}`);
    return {
      name: `TypeScript ${version}${how}`,
      skipped: installed === undefined ? NOT_THERE : undefined,
      async run() {
        const tsc = path.join(installed ?? "", "bin", "tsc");
        const { ok, output } = await runCommand(process.execPath, [tsc, "--project", folder, ...options], folder);
        return ok ? undefined : output;
      },
    };
  }
}
