import { writeFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";

const repository = path.resolve(import.meta.dirname, "../..");

/**
 * What the compiler says about each of some modules, one message per error, under the strict settings of the repository.
 *
 * @param folder - Where to put them: their relative imports are resolved from there.
 * @param sources - By file name.
 */
export function typeErrors<Name extends string>(
  folder: string,
  sources: Readonly<Record<Name, string>>,
): Record<Name, string[]> {
  const files = Object.entries<string>(sources).map(([name, source]) => {
    const file = path.join(folder, name);
    writeFileSync(file, source);
    return file;
  });
  writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');

  const { config } = ts.readConfigFile(path.join(repository, "tsconfig.base.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, repository);
  const program = ts.createProgram(files, { ...options, typeRoots: [path.join(repository, "node_modules/@types")] });
  const errors = ts.getPreEmitDiagnostics(program);
  const messages = files.map((file) => {
    const own = errors.filter((error) => error.file?.fileName === file);
    return [path.basename(file), own.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))];
  });
  const elsewhere = errors.filter(({ file }) => !file || !files.includes(file.fileName));
  if (elsewhere.length > 0) throw new Error(ts.formatDiagnostics(elsewhere, formatHost));
  return Object.fromEntries(messages);
}

const formatHost: ts.FormatDiagnosticsHost = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => repository,
  getNewLine: () => "\n",
};
