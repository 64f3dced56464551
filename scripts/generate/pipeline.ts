import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { bundleDocument, bundleFile } from "./bundle.ts";
import { clientFiles } from "./client.ts";
import { contractFiles } from "./contract.ts";
import type { GeneratedFile } from "./emit.ts";
import { mswFiles } from "./msw.ts";
import { referenceFiles } from "./reference.ts";
import { ruleTable } from "./rule-table.ts";
import { readSpec } from "./spec.ts";
import { stateDiagrams } from "./state-diagrams.ts";
import { typeSource, withOpenAnswers } from "./type-source.ts";
import { renderTypes } from "./types.ts";

/** What one generator did. */
export interface Step {
  readonly name: string;
  /** How many files it owns. */
  readonly files: number;
  /** Those of its files that differ from what is on disk, or were there and should not be. */
  readonly outdated: readonly string[];
  readonly ms: number;
}

/** Folders in which every file is generated, so that one which no generator writes any more is removed. */
const OWNED_FOLDERS: Readonly<Record<string, string>> = {
  contract: "packages/contract/src/generated",
  client: "packages/ts/src/generated",
  msw: "packages/msw/src/generated",
  reference: "docs/reference/generated",
};

/**
 * Runs all generators, in an order in which each finds what it reads.
 *
 * @param root - The folder of the repository.
 * @param check - Compares with what is on disk instead of writing.
 * @throws {SpecError} When `openapi/` has problems; nothing is written then.
 */
export async function runGenerators(root: string, check: boolean): Promise<Step[]> {
  const steps: Step[] = [];
  const run = async <Result>(
    name: string,
    work: () => Promise<Result> | Result,
    filesOf: (result: Result) => readonly GeneratedFile[],
  ): Promise<Result> => {
    const started = performance.now();
    const result = await work();
    const files = filesOf(result);
    const outdated = files.filter((file) => readText(root, file.path) !== file.content).map((file) => file.path);
    outdated.push(...strayFiles(root, OWNED_FOLDERS[name], files));
    if (!check) bringUpToDate(root, outdated, files);
    steps.push({ name, files: files.length, outdated, ms: performance.now() - started });
    return result;
  };

  const spec = await run(
    "bundle",
    async () => readSpec(await bundleDocument(root)),
    ({ document }) => [bundleFile(document)],
  );
  const source = typeSource(spec.document);
  const { types } = await run(
    "contract",
    async () => {
      const closed = await renderTypes(source);
      return { types: closed, files: contractFiles(spec, closed) };
    },
    ({ files }) => files,
  );
  const open = withOpenAnswers(source);
  await run("client", async () => clientFiles(spec, open, await renderTypes(open)), same);
  await run("msw", () => mswFiles(spec, types), same);
  await run("reference", () => referenceFiles(spec), same);
  await run("state-diagrams", () => stateDiagrams(root), same);
  await run("rule-table", () => ruleTable(root), same);
  return steps;
}

function same<Value>(value: Value): Value {
  return value;
}

function readText(root: string, file: string): string | undefined {
  const absolute = path.join(root, file);
  return existsSync(absolute) ? readFileSync(absolute, "utf8") : undefined;
}

function strayFiles(root: string, folder: string | undefined, files: readonly GeneratedFile[]): string[] {
  if (!folder || !existsSync(path.join(root, folder))) return [];
  const owned = new Set(files.map((file) => file.path));
  const present = readdirSync(path.join(root, folder)).map((name) => `${folder}/${name}`);
  return present.filter((file) => !owned.has(file)).sort();
}

function bringUpToDate(root: string, outdated: readonly string[], files: readonly GeneratedFile[]): void {
  const contents = new Map(files.map((file) => [file.path, file.content]));
  for (const file of outdated) {
    const absolute = path.join(root, file);
    const content = contents.get(file);
    if (content === undefined) {
      rmSync(absolute, { recursive: true });
      continue;
    }
    mkdirSync(path.dirname(absolute), { recursive: true });
    writeFileSync(absolute, content);
  }
}
