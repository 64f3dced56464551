import { createHash } from "node:crypto";
import path from "node:path";
import {
  BaseResolver,
  bundle,
  createConfig,
  getLineColLocation,
  lint,
  type NormalizedProblem,
} from "@redocly/openapi-core";
import { byName, type GeneratedFile, sortedEntries } from "./emit.ts";
import { type OpenApiDocument, SpecError } from "./spec.ts";

/** What is checked before anything is generated: the structure. Questions of style are for `redocly lint`. */
const rules = {
  struct: "error",
  "no-unresolved-refs": "error",
  "no-identical-paths": "error",
  "no-path-trailing-slash": "error",
  "operation-parameters-unique": "error",
  "path-not-include-query": "error",
  "path-declaration-must-exist": "error",
  "security-defined": "error",
  "no-enum-type-mismatch": "error",
  "no-schema-type-mismatch": "error",
  "no-required-schema-properties-undefined": "error",
} as const;

/**
 * Bundles the YAML files into one document in a fixed order, so that a changed line in a file is a changed line here.
 *
 * @param root - The folder that holds `openapi/openapi.yaml`.
 * @throws {SpecError} When the structure is broken; each problem names its file, line and column.
 */
export async function bundleDocument(root: string): Promise<OpenApiDocument> {
  const config = await createConfig({ rules });
  const ref = path.join(root, "openapi", "openapi.yaml");
  const externalRefResolver = new BaseResolver(config.resolve);

  const found = (await lint({ ref, config, externalRefResolver })).filter(({ severity }) => severity === "error");
  if (found.length > 0) throw new SpecError(found.map((problem) => problemText(root, problem)));

  const { bundle: bundled, problems } = await bundle({ ref, config, externalRefResolver });
  if (problems.length > 0) throw new SpecError(problems.map((problem) => problemText(root, problem)));
  return inOrder(bundled.parsed as OpenApiDocument);
}

/** `packages/contract/openapi.json`: what the server serves, and what every other file is made from. */
export function bundleFile(document: OpenApiDocument): GeneratedFile {
  return { path: "packages/contract/openapi.json", content: `${JSON.stringify(document, null, 2)}\n` };
}

/** Names one state of the contract: the SHA-256 of the bundle in hexadecimal digits. */
export function documentHash(document: OpenApiDocument): string {
  return createHash("sha256").update(bundleFile(document).content).digest("hex");
}

const FIELDS = ["openapi", "info", "servers", "security", "tags", "paths", "webhooks", "components"];
const METHODS = ["summary", "description", "parameters", "get", "put", "post", "patch", "delete"];

function inOrder(document: OpenApiDocument): OpenApiDocument {
  const paths = sortedEntries(document.paths).map(([name, item]) => [name, ordered(item, METHODS)]);
  const components = sortedEntries(document.components).map(([section, entries]) => [
    section,
    Object.fromEntries(sortedEntries(entries)),
  ]);
  const sorted = { ...document, paths: Object.fromEntries(paths), components: Object.fromEntries(components) };
  return ordered(sorted, FIELDS);
}

function ordered<Value extends object>(value: Value, first: readonly string[]): Value {
  const rank = (key: string) => (first.includes(key) ? first.indexOf(key) : first.length);
  const entries = Object.entries(value);
  entries.sort(([left], [right]) => rank(left) - rank(right) || byName(left, right));
  return Object.fromEntries(entries) as Value;
}

function problemText(root: string, { location: [at], message, ruleId }: NormalizedProblem): string {
  if (!at) return `${message} (${ruleId})`;
  const { start } = getLineColLocation(at);
  return `${path.relative(root, at.source.absoluteRef)}:${start.line}:${start.col} ${message} (${ruleId})`;
}
