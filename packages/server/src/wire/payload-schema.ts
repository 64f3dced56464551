import type { ErrorIssue } from "@strait/contract";
import { jsonPointer } from "@strait/core";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import type { Bounded } from "./bounded.ts";

const MAX_BYTES = 64 * 1024;
/** Levels of JSON, so about half as many of nested properties. */
const MAX_DEPTH = 64;
const MAX_COMPILED = 1_000;
const MAX_ISSUES = 20;
/** For one payload, and for compiling a schema that has been checked; far more than honest ones need. */
const MAX_MS = 500;

const compiled = new Map<string, ValidateFunction>();
/** Checks schemas themselves. */
const meta = new Ajv2020({ allErrors: true, strict: false });

/** What a wait, a job or a step may ask of payloads. */
export interface PayloadSchemas {
  /** What is wrong with a customer's JSON Schema itself; undefined when it can be used. */
  schemaIssue(schema: object, field: string): ErrorIssue | undefined;
  /** Checks a payload against a customer's JSON Schema, which was checked when it was saved. No issues: it fits. */
  payloadIssues(schema: unknown, payload: unknown, base: string): ErrorIssue[];
}

/** @param bounded - How long a customer's schema may take. */
export function payloadSchemas(bounded: Bounded): PayloadSchemas {
  function compileProblem(schema: object): string | undefined {
    try {
      if (!meta.validateSchema(schema)) return meta.errorsText(meta.errors?.slice(0, 1), { dataVar: "schema" });
      const text = JSON.stringify(schema);
      return bounded(MAX_MS, text, () => void compile(schema, text), "it takes too long");
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  return {
    schemaIssue(schema, field) {
      const bytes = new TextEncoder().encode(JSON.stringify(schema)).length;
      if (bytes > MAX_BYTES) {
        return { field, rule: "maxLength", fix: `send a schema of at most ${MAX_BYTES} bytes; this one has ${bytes}` };
      }
      if (depthOf(schema) > MAX_DEPTH) {
        return { field, rule: "maxDepth", fix: `nest at most ${MAX_DEPTH} levels deep; use $defs for the inner parts` };
      }
      const remote = remoteReference(schema);
      if (remote !== undefined) {
        const fix = "refer to a part of this schema, such as #/$defs/address: nothing is fetched from elsewhere";
        return { field: field + remote, rule: "localReference", fix };
      }
      const problem = compileProblem(schema);
      if (problem === undefined) return undefined;
      return { field, rule: "jsonSchema", fix: `send a JSON Schema (2020-12) that compiles: ${problem}` };
    },
    payloadIssues(schema, payload, base) {
      const late = "simplify the schema: checking the payload takes too long";
      const text = JSON.stringify(schema);
      const issues = [{ field: base, rule: "timeLimit", fix: late }];
      return bounded(MAX_MS, text, () => issuesOf(compile(schema, text), payload, base), issues);
    },
  };
}

function issuesOf(validate: ValidateFunction, payload: unknown, base: string): ErrorIssue[] {
  if (fits(validate, payload)) return [];
  return (validate.errors ?? []).slice(0, MAX_ISSUES).map((error) => ({
    field: base + error.instancePath + missing(error),
    rule: error.keyword,
    fix: `send a payload that fits the schema: it ${error.message ?? "does not"}`,
  }));
}

/** A schema that refers to itself without end overflows the stack: nothing fits it. */
function fits(validate: ValidateFunction, payload: unknown): boolean {
  try {
    return validate(payload);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    validate.errors = [{ instancePath: "", schemaPath: "", keyword: "$ref", params: {}, message: "refers to itself" }];
    return false;
  }
}

function missing({ keyword, params }: ErrorObject): string {
  return keyword === "required" ? jsonPointer(String(params.missingProperty)) : "";
}

/** Each schema has a world of its own: its `$id` and anchors are nobody else's, and it is forgotten as a whole. */
function compile(schema: unknown, text: string): ValidateFunction {
  let validate = compiled.get(text);
  if (validate === undefined) {
    if (compiled.size === MAX_COMPILED) compiled.clear();
    // An extension of ajv that would make validation answer with a promise, which is always true.
    if (Object.hasOwn(schema as object, "$async")) throw new Error('"$async" is not a keyword of JSON Schema');
    const ajv = new Ajv2020({ allErrors: true, strict: false, validateSchema: false, meta: false, logger: false });
    formats.default(ajv);
    validate = ajv.compile(schema as object);
    compiled.set(text, validate);
  }
  return validate;
}

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** Keywords whose value is data, or a map whose names are the customer's. */
const DATA = new Set(["const", "enum", "default", "examples"]);
const MAPS = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]);

/** Where a schema refers to another document: a JSON pointer, or undefined. */
function remoteReference(schema: unknown): string | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  for (const [name, value] of Object.entries(schema)) {
    const at = jsonPointer(name);
    if (name === "$ref" || name === "$dynamicRef") {
      if (typeof value === "string" && !value.startsWith("#")) return at;
      continue;
    }
    if (DATA.has(name) || typeof value !== "object" || value === null) continue;
    const found = MAPS.has(name) ? inMap(value) : remoteReference(value);
    if (found !== undefined) return at + found;
  }
  return undefined;
}

function inMap(schemas: object): string | undefined {
  for (const [name, schema] of Object.entries(schemas)) {
    const found = remoteReference(schema);
    if (found !== undefined) return jsonPointer(name) + found;
  }
  return undefined;
}
