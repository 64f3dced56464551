import type { OpenApiDocument, Schema } from "./spec.ts";
import { SpecError } from "./spec.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * The document as the types are made from it: parameters, headers and request bodies stand where they are used, and
 * the examples of bodies are gone (they are data of their own, and would be repeated in every hover).
 * References to schemas and to shared answers stay.
 */
export function typeSource(document: OpenApiDocument): OpenApiDocument {
  const inlined = /^#\/components\/(parameters|requestBodies|headers)\/(.+)$/;
  const rewrite = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rewrite);
    if (!isObject(value)) return value;
    const [, section, name] = inlined.exec(String(value.$ref)) ?? [];
    if (section && name) return rewrite(document.components[section]?.[name]);
    const entries = Object.entries(value).map(([key, item]) => [key, key === "content" ? bodies(item) : rewrite(item)]);
    return Object.fromEntries(entries);
  };
  const bodies = (content: unknown): unknown => {
    // A property of a schema may be called `content` too.
    if (!isObject(content) || !Object.keys(content).every((key) => key.includes("/"))) return rewrite(content);
    const entries = Object.entries(content).map(([media, body]) => [media, { schema: rewrite((body as Json).schema) }]);
    return Object.fromEntries(entries);
  };
  const { schemas, responses = {} } = document.components;
  return {
    ...document,
    paths: rewrite(document.paths) as OpenApiDocument["paths"],
    components: { schemas, responses: rewrite(responses) as Json },
  };
}

/** Marks a schema that stands for "any other text", which the type emitter writes as `string & {}`. */
export const ANY_OTHER_TEXT = "x-any-other-text";

/** Marks a schema that stands for any JSON value, with its name, which the type emitter uses to write what it nests. */
export const ANY_JSON = "x-any-json";

/**
 * The same document with open enums in answers, so that a value that a later server adds is no type error and no
 * crash, while a request still takes only what is known; and with any JSON value as a type that a program can look into,
 * while a request takes whatever has a JSON form. A schema that holds such a part and serves both directions is split:
 * `RunStatus` is what answers hold, `RunStatusInput` what requests take.
 *
 * @param document - As `typeSource` gives it.
 */
export function withOpenAnswers(document: OpenApiDocument): OpenApiDocument {
  const { schemas } = document.components;
  const { sent, received } = directions(document);
  const split = new Set([...sent].filter((name) => received.has(name) && isOpen(schemas, name)));
  for (const name of split) {
    if (schemas[inputName(name)]) {
      throw new SpecError([
        `components.schemas.${inputName(name)}: this name is needed for the closed form of ${name}`,
      ]);
    }
  }

  const closed = (value: unknown) => mapSchemas(value, (schema) => toInputReference(schema, split));
  const all = Object.entries(schemas).flatMap(([name, schema]): [string, unknown][] => {
    if (sent.has(name) && !received.has(name)) return [[name, closed(schema)]];
    const open = isFree(schema) ? { ...schema, [ANY_JSON]: name } : mapSchemas(schema, toOpen);
    const answer: [string, unknown] = [name, open];
    return split.has(name) ? [answer, [inputName(name), closed(schema)]] : [answer];
  });
  const paths = Object.entries(document.paths).map(([path, item]) => [path, withClosedRequests(item, closed)]);
  return {
    ...document,
    paths: Object.fromEntries(paths),
    components: {
      ...document.components,
      schemas: Object.fromEntries(all) as Record<string, Schema>,
      responses: mapSchemas(document.components.responses, toOpen) as Json,
    },
  };
}

/** Which schemas requests take, and which answers hold. */
export function directions(document: OpenApiDocument): { sent: Set<string>; received: Set<string> } {
  const { schemas, responses } = document.components;
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item) as Json[]);
  const requests = operations.map(({ parameters, requestBody }) => ({ parameters, requestBody }));
  return {
    sent: reachable(schemas, requests),
    received: reachable(schemas, [...operations.map((operation) => operation.responses), responses]),
  };
}

function withClosedRequests(item: Json, closed: (value: unknown) => unknown): Json {
  const entries = Object.entries(item).map(([method, operation]) => {
    if (!isObject(operation)) return [method, closed(operation)];
    const { parameters, requestBody, responses, ...rest } = operation;
    return [
      method,
      {
        ...rest,
        ...(parameters === undefined ? {} : { parameters: closed(parameters) }),
        ...(requestBody === undefined ? {} : { requestBody: closed(requestBody) }),
        responses: mapSchemas(responses, toOpen),
      },
    ];
  });
  return Object.fromEntries(entries);
}

function inputName(name: string): string {
  return `${name}Input`;
}

function toInputReference(schema: Json, split: ReadonlySet<string>): Json {
  const name = schemaName(schema.$ref);
  return name && split.has(name) ? { ...schema, $ref: `#/components/schemas/${inputName(name)}` } : schema;
}

/** Whether a schema allows every value: it says nothing but what it is for. */
function isFree(schema: Json): boolean {
  return Object.keys(schema).every((keyword) => keyword === "description");
}

function toOpen(schema: Json): Json {
  if (schema.additionalProperties !== true) return toOpenEnum(schema);
  return { ...schema, additionalProperties: { $ref: "#/components/schemas/JsonValue" } };
}

function toOpenEnum(schema: Json): Json {
  const { enum: values, ...rest } = schema;
  const isTextEnum = Array.isArray(values) && values.some((value) => typeof value === "string");
  if (!isTextEnum) return schema;
  const { description } = rest;
  return {
    ...(description === undefined ? {} : { description }),
    anyOf: [{ enum: values }, { type: "string", [ANY_OTHER_TEXT]: true }],
  };
}

/** Rebuilds a JSON value from the inside out, giving each object to `change`. */
function mapSchemas(value: unknown, change: (schema: Json) => Json): unknown {
  if (Array.isArray(value)) return value.map((item) => mapSchemas(item, change));
  if (!isObject(value)) return value;
  return change(Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapSchemas(item, change)])));
}

/** The names of the schemas that can be reached from `roots` over references. */
export function reachable(schemas: Readonly<Record<string, Schema>>, roots: unknown): Set<string> {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item);
    if (!isObject(value)) return;
    const name = schemaName(value.$ref);
    if (name && !found.has(name)) {
      found.add(name);
      visit(schemas[name]);
    }
    for (const item of Object.values(value)) visit(item);
  };
  visit(roots);
  return found;
}

function isOpen(schemas: Readonly<Record<string, Schema>>, name: string): boolean {
  const names = reachable(schemas, { $ref: `#/components/schemas/${name}` });
  let found = false;
  const look = (schema: Json): Json => {
    found ||= toOpen(schema) !== schema;
    return schema;
  };
  for (const each of names) {
    found ||= isFree(schemas[each] ?? {});
    mapSchemas(schemas[each], look);
  }
  return found;
}

export function schemaName(ref: unknown): string | undefined {
  return typeof ref === "string" ? /^#\/components\/schemas\/(.+)$/.exec(ref)?.[1] : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
