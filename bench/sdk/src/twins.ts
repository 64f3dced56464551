import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { clientFiles } from "../../../scripts/generate/client.ts";
import type { GeneratedFile } from "../../../scripts/generate/emit.ts";
import { operationId } from "../../../scripts/generate/operation-id.ts";
import { type OpenApiDocument, readSpec } from "../../../scripts/generate/spec.ts";
import { typeSource, withOpenAnswers } from "../../../scripts/generate/type-source.ts";
import { renderTypes } from "../../../scripts/generate/types.ts";
import { type ExampleCall, exampleCalls } from "./consumer.ts";
import { buildOurs, generateOthers, root, type Workshop } from "./prepare.ts";

/** What is compiled: a contract's clients, and calls of them. */
export interface Site {
  /** Holds `gen/` with the clients of the others. */
  readonly folder: string;
  /** The built package of ours. */
  readonly ours: string;
  readonly calls: readonly ExampleCall[];
}

/**
 * A contract as large as the one that the design measured, and everybody's client of it: each operation and each schema
 * of ours, and a twin of it under another name.
 */
export async function prepareTwins({ folder: workshop }: Workshop): Promise<Site> {
  console.error("Generating everybody's client of twice as many operations, and building ours …");
  const folder = path.join(workshop, "twins");
  mkdirSync(folder, { recursive: true });
  const contract = path.join(root, "packages", "contract", "openapi.json");
  const document = withTwins(JSON.parse(readFileSync(contract, "utf8")) as OpenApiDocument);
  const spec = path.join(folder, "openapi.json");
  writeFileSync(spec, JSON.stringify(document));
  generateOthers(workshop, spec, path.join(folder, "gen"));

  const ours = path.join(folder, "ours");
  const files = await generateOurs(document);
  rmSync(ours, { recursive: true, force: true });
  buildCopy(files, path.join(ours, "dist"));
  const twins = exampleCalls.map(({ operation, request }) => ({
    operation: { ...operation, ...twinOf(operation.method, operation.path) },
    request,
  }));
  return { folder, ours, calls: [...exampleCalls, ...twins] };
}

/** The generator knows any JSON value by its name. */
const SINGLE = "JsonValue";

function withTwins(document: OpenApiDocument): OpenApiDocument {
  const { schemas } = document.components;
  const text = JSON.stringify({ paths: document.paths, schemas });
  const reference = new RegExp(`"#/components/schemas/(?!${SINGLE}")`, "g");
  const twins = JSON.parse(text.replaceAll(reference, "$&Twin")) as {
    readonly paths: OpenApiDocument["paths"];
    readonly schemas: typeof schemas;
  };
  const twinPaths = Object.entries(twins.paths).map(([template, item]) => {
    const operations = Object.entries(item).map(([method, operation]) => {
      const isOperation = "operationId" in operation;
      return [method, isOperation ? { ...operation, operationId: twinOf(method, template).id } : operation];
    });
    return [twinOf("", template).path, Object.fromEntries(operations)];
  });
  const twinSchemas = Object.entries(twins.schemas)
    .filter(([name]) => name !== SINGLE)
    .map(([name, schema]) => [`Twin${name}`, schema]);
  return {
    ...document,
    paths: { ...document.paths, ...Object.fromEntries(twinPaths) },
    components: { ...document.components, schemas: { ...schemas, ...Object.fromEntries(twinSchemas) } },
  };
}

function twinOf(method: string, template: string): { readonly id: string; readonly path: string } {
  const twin = `/twin${template}`;
  return { id: operationId(method, twin), path: twin };
}

/**
 * Builds a copy of our package with other generated files. It stands outside of the workshop meanwhile: what is somewhere
 * below `node_modules`, as that is, a build takes for the package of somebody else, whose types it leaves out.
 */
function buildCopy(files: readonly GeneratedFile[], dist: string): void {
  const repository = mkdtempSync(path.join(tmpdir(), "strait-bench-sdk-"));
  const packages = path.join(root, "packages");
  const copy = path.join(repository, "packages", "ts");
  try {
    mkdirSync(copy, { recursive: true });
    for (const name of ["src", "package.json", "tsconfig.build.json", "tsup.config.ts"]) {
      cpSync(path.join(packages, "ts", name), path.join(copy, name), { recursive: true });
    }
    cpSync(path.join(root, "tsconfig.base.json"), path.join(repository, "tsconfig.base.json"));
    for (const name of ["contract", "core", path.join("ts", "node_modules")]) {
      symlinkSync(path.join(packages, name), path.join(repository, "packages", name), "junction");
    }
    for (const { path: file, content } of files) writeFileSync(path.join(repository, file), content);
    buildOurs(copy);
    cpSync(path.join(copy, "dist"), dist, { recursive: true });
  } finally {
    rmSync(repository, { recursive: true });
  }
}

async function generateOurs(document: OpenApiDocument): Promise<GeneratedFile[]> {
  const open = withOpenAnswers(typeSource(document));
  return clientFiles(readSpec(document), open, await renderTypes(open));
}
