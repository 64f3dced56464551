import { readFileSync } from "node:fs";
import type TypeScript from "typescript";
import { median } from "../../src/statistics.ts";
import { loadPackage } from "./contenders.ts";
import type { Workshop } from "./prepare.ts";

/** How long an editor lets somebody wait who opens a program and types into it, in milliseconds. */
export interface EditorCosts {
  /** Until it is read, with everything that it imports and the libraries of the language and of the browser. */
  readonly opening: number;
  /** For the list of operations, the first that is asked for. */
  readonly firstList: number;
  /** For the members of a body. */
  readonly bodyList: number;
  /** For the errors of the whole file, after each key. */
  readonly recheck: number;
}

const KEYS = 7;

/** Gives what measures a program. */
export async function openEditor(
  workshop: Workshop,
  compilerOptions: object,
): Promise<(file: string, typed: readonly [string, string]) => EditorCosts> {
  const { default: ts } = await loadPackage<{ readonly default: typeof TypeScript }>(workshop, "typescript");
  const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, workshop.folder);
  return (file, typed) => edit(ts, options, file, typed);
}

function edit(
  ts: typeof TypeScript,
  options: TypeScript.CompilerOptions,
  file: string,
  [operations, body]: readonly [string, string],
): EditorCosts {
  let text = readFileSync(file, "utf8");
  let version = 0;
  const read = new Map<string, TypeScript.IScriptSnapshot | undefined>();
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
      if (name === file) return ts.ScriptSnapshot.fromString(text);
      // It is asked for after each key, and an editor does not read the file again.
      if (!read.has(name)) {
        const content = readFile(name);
        read.set(name, content === undefined ? undefined : ts.ScriptSnapshot.fromString(content));
      }
      return read.get(name);
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
  type("\nexport const typed = ");
  const [opening] = timed(() => service.getProgram());
  type(operations);
  const firstList = list();
  type(body);
  const bodyList = list();
  const rechecks = Array.from({ length: KEYS }, () => {
    type(" ");
    return timed(() => service.getSemanticDiagnostics(file))[0];
  });
  service.dispose();
  return { opening, firstList, bodyList, recheck: median(rechecks) };
}

function timed<Result>(work: () => Result): [millis: number, result: Result] {
  const started = performance.now();
  const result = work();
  return [performance.now() - started, result];
}
