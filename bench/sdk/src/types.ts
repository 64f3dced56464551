import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { median } from "../../src/statistics.ts";
import { consumerProgram, otherStyles, ourStyle } from "./consumer.ts";
import { type EditorCosts, openEditor } from "./editor.ts";
import type { Workshop } from "./prepare.ts";

/** What a program with two calls of each operation costs a compiler, and an editor. */
export interface TypeCosts extends EditorCosts {
  readonly name: string;
  readonly checkSeconds: number;
  /** By TypeScript 7. */
  readonly nextCheckSeconds: number;
  /** All of the compiler's, the libraries of the language and of the browser included. */
  readonly megabytes: number;
  readonly instantiations: number;
  /** Where the types of a client do not take an example of the contract. */
  readonly errors: number;
}

export async function measureTypes(workshop: Workshop, rounds: number): Promise<TypeCosts[]> {
  const measureEditor = await openEditor(workshop, compilerOptions);
  const folder = path.join(workshop.folder, "types");
  mkdirSync(folder, { recursive: true });
  const entry = path.join(workshop.ours, "dist", "index.js");
  const styles = {
    "@strait/ts": ourStyle(entry, "operationsPromise"),
    "@strait/ts, operations": ourStyle(entry, "operations"),
    ...otherStyles,
  };
  return Object.entries(styles).map(([name, style]) => {
    const file = name.replaceAll(/\W+/g, "-");
    const source = path.join(folder, `${file}.ts`);
    writeFileSync(source, consumerProgram(style));
    const project = path.join(folder, `${file}.json`);
    writeFileSync(project, JSON.stringify({ compilerOptions, files: [`${file}.ts`] }));
    const runs = Array.from({ length: rounds }, () => compile(workshop.tsc, project));
    const nextRuns = Array.from({ length: rounds }, () => compile(workshop.nextTsc, project));
    const figure = (name: string): number => median(runs.map((output) => read(output, name)));
    return {
      name,
      checkSeconds: figure("Check time"),
      nextCheckSeconds: median(nextRuns.map((output) => read(output, "Check time"))),
      megabytes: figure("Memory used") / 1_000,
      instantiations: figure("Instantiations"),
      errors: runs[0]?.match(/error TS/g)?.length ?? 0,
      ...measureEditor(source, style.typed, rounds),
    };
  });
}

const compilerOptions = {
  target: "es2022",
  module: "esnext",
  moduleResolution: "bundler",
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  lib: ["es2022", "dom", "dom.iterable"],
  types: [],
};

function compile(tsc: string, project: string): string {
  try {
    return execFileSync(tsc, ["--project", project, "--extendedDiagnostics"], {
      encoding: "utf8",
      // So that its memory is what it holds, not when it last collected.
      env: { ...process.env, NODE_OPTIONS: "--expose-gc" },
    });
  } catch (error) {
    // It fails when there are errors, and prints its figures all the same.
    return String((error as { readonly stdout?: unknown }).stdout);
  }
}

function read(output: string, figure: string): number {
  return Number(new RegExp(`^${figure}:\\s+([\\d.]+)`, "m").exec(output)?.[1]);
}
