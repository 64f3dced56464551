import { readFileSync } from "node:fs";
import type TypeScript from "typescript";
import { median } from "../../src/statistics.ts";
import { loadPackage } from "./contenders.ts";
import type { Workshop } from "./prepare.ts";

/** How long an editor lets somebody wait who types into a program, in milliseconds. */
export interface EditorCosts {
  /** For the list of operations, right after the file was opened: everything that it imports is read for it. */
  readonly firstList: number;
  /** For the members of a body. */
  readonly bodyList: number;
  /** For the errors of the whole file, after each key. */
  readonly recheck: number;
}

const KEYS = 7;

/** Gives what measures a program, as an editor that has opened others before. */
export async function openEditor(
  workshop: Workshop,
  compilerOptions: object,
): Promise<(file: string, typed: readonly [string, string], rounds: number) => EditorCosts> {
  const { default: ts } = await loadPackage<{ readonly default: typeof TypeScript }>(workshop, "typescript");
  const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, workshop.folder);
  let isWarm = false;
  return (file, typed, rounds) => {
    if (!isWarm) edit(ts, options, file, typed);
    isWarm = true;
    const runs = Array.from({ length: rounds }, () => edit(ts, options, file, typed));
    const figure = (name: keyof EditorCosts): number => median(runs.map((run) => run[name]));
    return { firstList: figure("firstList"), bodyList: figure("bodyList"), recheck: figure("recheck") };
  };
}

function edit(
  ts: typeof TypeScript,
  options: TypeScript.CompilerOptions,
  file: string,
  [operations, body]: readonly [string, string],
): EditorCosts {
  let text = readFileSync(file, "utf8");
  let version = 0;
  const { fileExists, readFile, readDirectory, directoryExists, getDirectories, getCurrentDirectory } = ts.sys;
  const service = ts.createLanguageService({
    fileExists,
    readFile,
    readDirectory,
    directoryExists,
    getDirectories,
    getCurrentDirectory,
    getCompilationSettings: () => options,
    getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
    getScriptFileNames: () => [file],
    getScriptVersion: (name) => (name === file ? `${version}` : "0"),
    getScriptSnapshot: (name) => {
      const content = name === file ? text : readFile(name);
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
    },
  });
  const list = (): number => {
    const [millis, found] = timed(() => service.getCompletionsAtPosition(file, text.length, {}));
    if (!found?.entries.length) throw new Error(`nothing to choose from at the end of ${file}`);
    return millis;
  };
  const type = (more: string): void => {
    text += more;
    version += 1;
  };
  type(`\nexport const typed = ${operations}`);
  const firstList = list();
  type(body);
  const bodyList = list();
  const rechecks = Array.from({ length: KEYS }, () => {
    type(" ");
    return timed(() => service.getSemanticDiagnostics(file))[0];
  });
  service.dispose();
  return { firstList, bodyList, recheck: median(rechecks) };
}

function timed<Result>(work: () => Result): [millis: number, result: Result] {
  const started = performance.now();
  const result = work();
  return [performance.now() - started, result];
}
