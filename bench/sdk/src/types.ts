import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { consumerProgram, exampleCalls, otherStyles, ourStyle, type Style } from "./consumer.ts";
import { type Edited, type EditorCosts, measureEditor } from "./editor.ts";
import type { Workshop } from "./prepare.ts";
import { prepareTwins, type Site } from "./twins.ts";

/** What a program with about 150 calls costs a compiler, and an editor, in one round. */
export interface TypeCosts extends EditorCosts {
  readonly checkSeconds: number;
  /** By TypeScript 7. */
  readonly nextCheckSeconds: number;
  /** All of the compiler's, the libraries of the language and of the browser included. */
  readonly megabytes: number;
  readonly instantiations: number;
  /** Where the types of a client do not take an example of the contract. */
  readonly errors: number;
}

interface Candidate {
  readonly name: string;
  readonly edited: Edited;
  /** The settings that compile the program. */
  readonly project: string;
  readonly costs: TypeCosts[];
}

/**
 * Gives the costs of each round. In each, all take their turn, and another one begins. The programs call each operation of
 * a contract as large as the design's; for those that are named as small, each of our own, twice.
 */
export async function measureTypes(
  workshop: Workshop,
  rounds: number,
): Promise<{ readonly name: string; readonly costs: readonly TypeCosts[] }[]> {
  const candidates = await writePrograms(workshop);
  const before = candidates.find(({ name }) => name === "openapi-fetch")?.edited;
  if (before === undefined) throw new Error("there is no program to open first");
  for (let round = 0; round < rounds; round++) {
    for (const turn of candidates.keys()) {
      const candidate = candidates[(round + turn) % candidates.length];
      if (candidate === undefined) continue;
      const { project, edited, costs } = candidate;
      const { folder } = workshop;
      costs.push({
        ...check(workshop, project),
        ...measureEditor({ folder, compilerOptions, before, measured: edited }),
      });
    }
  }
  return candidates;
}

async function writePrograms(workshop: Workshop): Promise<Candidate[]> {
  const large = await prepareTwins(workshop);
  const small: Site = { ...workshop, calls: [...exampleCalls, ...exampleCalls] };
  const { redocly } = otherStyles;
  return [
    ...programsOf(large, { ...ourStyles(large), ...otherStyles }),
    ...programsOf(small, { ...ourStyles(small), ...(redocly && { redocly }) }, ", small"),
  ];
}

function ourStyles({ ours }: Site): Record<string, Style> {
  const entry = path.join(ours, "dist", "index.js");
  return {
    "@strait/ts": ourStyle(entry, "operationsPromise"),
    "@strait/ts, operations": ourStyle(entry, "operations"),
  };
}

function programsOf(site: Site, styles: Readonly<Record<string, Style>>, suffix = ""): Candidate[] {
  const folder = path.join(site.folder, "types");
  mkdirSync(folder, { recursive: true });
  return Object.entries(styles).map(([name, style]) => {
    const file = name.replaceAll(/\W+/g, "-");
    const edited: Edited = { file: path.join(folder, `${file}.ts`), typed: style.typed };
    writeFileSync(edited.file, consumerProgram(style, site.calls));
    const project = path.join(folder, `${file}.json`);
    writeFileSync(project, JSON.stringify({ compilerOptions, files: [`${file}.ts`] }));
    return { name: `${name}${suffix}`, edited, project, costs: [] };
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

function check({ tsc, nextTsc }: Workshop, project: string): Omit<TypeCosts, keyof EditorCosts> {
  const output = compile(tsc, project);
  return {
    checkSeconds: read(output, "Check time"),
    nextCheckSeconds: read(compile(nextTsc, project), "Check time"),
    megabytes: read(output, "Memory used") / 1_000,
    instantiations: read(output, "Instantiations"),
    errors: output.match(/error TS/g)?.length ?? 0,
  };
}

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
