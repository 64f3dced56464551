import path from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { consumerProgram, exampleCalls, ourStyle } from "../bench/sdk/src/consumer.ts";
import { root } from "./workspace.ts";

const file = path.join(root, "consumer.ts");

/** A program that calls every operation by one surface of the client, twice, as the compiler sees it. */
function givenConsumer(surface: "operations" | "operationsPromise"): ts.Program {
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: [],
  };
  const text = consumerProgram(ourStyle("./packages/ts/src/index.ts", surface), [...exampleCalls, ...exampleCalls]);
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, version, ...rest) =>
    name === file ? ts.createSourceFile(name, text, version) : getSourceFile(name, version, ...rest);
  return ts.createProgram([file], options, host);
}

test.each(["operations", "operationsPromise"] as const)(
  "a program that calls everything of `%s` compiles, with at most 2,000 instantiations",
  (surface) => {
    const program = givenConsumer(surface);

    const faults = program.getSemanticDiagnostics(program.getSourceFile(file));

    expect(faults.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "))).toEqual([]);
    expect(program.getInstantiationCount()).toBeLessThanOrEqual(2_000);
  },
);

test("a compiler keeps what a program reads of the client with one byte per character", () => {
  const read = givenConsumer("operationsPromise").getSourceFiles();

  const ours = read.filter(({ fileName }) => fileName.includes("packages/ts/src/"));

  expect(ours).not.toEqual([]);
  expect(ours.filter(({ text }) => /[^\0-\xFF]/.test(text)).map(({ fileName }) => fileName)).toEqual([]);
});
