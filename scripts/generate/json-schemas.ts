import { type GeneratedFile, literal, typescriptFile } from "./emit.ts";
import type { Operation, Parameter, Schema, Spec } from "./spec.ts";

/** The `$id` of the document that holds all schemas; the others point into it. */
const DOCUMENT_ID = "strait";

/** The JSON Schemas of the contract, 2020-12, for a validator that compiles them once. */
export function schemasFile(spec: Spec, path: string): GeneratedFile {
  const definitions = [...spec.schemas].map(([name, schema]) => [name, plain(schema, "#/$defs/")]);
  const document = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: DOCUMENT_ID,
    $defs: Object.fromEntries(definitions),
  };
  const requests = spec.operations.map(
    (operation) => `  ${operation.id}: ${literal(requestSchema(operation), "  ")},\n`,
  );
  const responses = spec.operations.map(
    (operation) => `  ${operation.id}: ${literal(responseSchema(operation), "  ")},\n`,
  );
  return typescriptFile(
    path,
    `import type { OperationId } from "./operations.ts";\n`,
    `/** A JSON Schema (2020-12). */
export type SchemaObject = Readonly<Record<string, unknown>>;
`,
    `/** The schemas of the parts of a request; a part without one is not described by the contract. */
export interface RequestSchema {
  readonly path?: SchemaObject;
  /** Numbers and booleans are described as such: a validator has to coerce the text of the URL. */
  readonly query?: SchemaObject;
  /** Keyed as the contract spells them, such as \`Idempotency-Key\`. */
  readonly headers?: SchemaObject;
  readonly body?: SchemaObject;
  /** Whether the body may be absent. */
  readonly bodyRequired: boolean;
}
`,
    `/** All schemas in one document, as \`$defs\`. Add it to a validator before compiling the others. */
export const schemas: SchemaObject & { readonly $id: string; readonly $defs: Readonly<Record<string, SchemaObject>> } = ${literal(document)};
`,
    `/** What each operation accepts. */
export const requestSchemas: Readonly<Record<OperationId, RequestSchema>> = {
${requests.join("")}};
`,
    `/** The JSON bodies that each operation answers, by status. */
export const responseSchemas: Readonly<Record<OperationId, Readonly<Record<number, SchemaObject>>>> = {
${responses.join("")}};
`,
  );
}

function requestSchema(operation: Operation): object {
  const { pathParameters, queryParameters, headers, body } = operation;
  return {
    ...parametersSchema("path", pathParameters),
    ...parametersSchema("query", queryParameters),
    ...parametersSchema("headers", headers),
    ...(body ? { body: plain(body.schema, `${DOCUMENT_ID}#/$defs/`) } : {}),
    bodyRequired: body?.required ?? false,
  };
}

function parametersSchema(part: string, parameters: readonly Parameter[]): object {
  if (parameters.length === 0) return {};
  const properties = parameters.map(({ name, schema }) => [name, plain(schema, `${DOCUMENT_ID}#/$defs/`)]);
  const required = parameters.filter((parameter) => parameter.required).map(({ name }) => name);
  return {
    [part]: {
      type: "object",
      properties: Object.fromEntries(properties),
      ...(required.length > 0 ? { required } : {}),
    },
  };
}

function responseSchema({ successes, errors }: Operation): object {
  const bodies = [...successes, ...errors].flatMap(({ status, media, schema }) =>
    media === "json" && schema ? [[status, plain(schema, `${DOCUMENT_ID}#/$defs/`)]] : [],
  );
  return Object.fromEntries(bodies);
}

/** Keywords that explain and do not validate. */
const NOTES = new Set(["description", "title", "summary", "example", "examples", "deprecated", "externalDocs", "xml"]);

/** Keywords whose value is a map from names to schemas, so that its keys are no keywords. */
const MAPS = new Set(["properties", "patternProperties", "dependentSchemas", "$defs"]);

/** Keywords whose value is data. */
const DATA = new Set(["const", "enum", "default", "required"]);

/** The schema as a validator wants it: without explanations, with references to `prefix` and a name. */
function plain(schema: Schema, prefix: string): unknown {
  const value = (item: unknown): unknown => {
    if (Array.isArray(item)) return item.map(value);
    return typeof item === "object" && item !== null ? plain(item as Schema, prefix) : item;
  };
  const entries = Object.entries(schema).flatMap(([keyword, item]): [string, unknown][] => {
    if (NOTES.has(keyword) || keyword.startsWith("x-")) return [];
    if (keyword === "$ref") return [[keyword, String(item).replace("#/components/schemas/", prefix)]];
    if (DATA.has(keyword)) return [[keyword, item]];
    if (!MAPS.has(keyword)) return [[keyword, value(item)]];
    return [[keyword, Object.fromEntries(Object.entries(item as object).map(([name, each]) => [name, value(each)]))]];
  });
  return Object.fromEntries(entries);
}
