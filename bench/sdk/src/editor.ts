import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import type TypeScript from "typescript";
import { median } from "../../src/statistics.ts";
import { loadPackage } from "./contenders.ts";

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

/** A program, and what somebody types behind it. */
export interface Edited {
  readonly file: string;
  readonly typed: readonly [operations: string, body: string];
}

/** What the process is told that it measures in. */
export interface EditorTask {
  /** Where a compiler is installed. */
  readonly folder: string;
  readonly compilerOptions: object;
  /** Opened before it: an editor has been in use for a while, but not so long that its code could not become faster. */
  readonly before: Edited;
  readonly measured: Edited;
}

/** Measures one program in a process of its own, so that none is measured by an editor that others have made faster. */
export function measureEditor(task: EditorTask): EditorCosts {
  const args = [...process.execArgv, path.join(import.meta.dirname, "editor-process.ts"), JSON.stringify(task)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as EditorCosts;
}

/** Does in this process what a task asks for. */
export async function runTask({ folder, compilerOptions, before, measured }: EditorTask): Promise<EditorCosts> {
  const { default: ts } = await loadPackage<{ readonly default: typeof TypeScript }>({ folder }, "typescript");
  const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, folder);
  edit(ts, options, before);
  return edit(ts, options, measured);
}

function edit(
  ts: typeof TypeScript,
  options: TypeScript.CompilerOptions,
  { file, typed: [operations, body] }: Edited,
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
      if (name === file) return snapshot(text);
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

/** A text behind which more is typed. An editor tells the compiler what has changed, which then parses nothing else. */
function snapshot(text: string): TypeScript.IScriptSnapshot {
  return {
    getText: (start, end) => text.slice(start, end),
    getLength: () => text.length,
    getChangeRange: (before) => {
      const start = before.getLength();
      return { span: { start, length: 0 }, newLength: text.length - start };
    },
  };
}

function timed<Result>(work: () => Result): [millis: number, result: Result] {
  const started = performance.now();
  const result = work();
  return [performance.now() - started, result];
}
