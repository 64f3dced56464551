import type { ErrorIssue } from "@strait/contract";
import { jsonPointer } from "@strait/core";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";

const MAX_COMPILED = 1_000;
const MAX_ISSUES = 20;

const compiled = new Map<string, ValidateFunction>();
const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: true });
formats.default(ajv);

/** What is wrong with a customer's JSON Schema itself, as ajv says it; undefined when it can be used. */
export function schemaProblem(schema: unknown): string | undefined {
  try {
    compile(schema);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Checks a payload against a customer's JSON Schema, which was checked when it was saved. No issues: it fits. */
export function payloadIssues(schema: unknown, payload: unknown, base: string): ErrorIssue[] {
  const validate = compile(schema);
  if (validate(payload)) return [];
  return (validate.errors ?? []).slice(0, MAX_ISSUES).map((error) => ({
    field: base + error.instancePath + missing(error),
    rule: error.keyword,
    fix: `send a payload that fits the schema: it ${error.message ?? "does not"}`,
  }));
}

function missing({ keyword, params }: ErrorObject): string {
  return keyword === "required" ? jsonPointer(String(params.missingProperty)) : "";
}

function compile(schema: unknown): ValidateFunction {
  const text = JSON.stringify(schema);
  let validate = compiled.get(text);
  if (validate === undefined) {
    if (compiled.size === MAX_COMPILED) compiled.clear();
    // A `$id` would be registered for good, and clash with the next schema of the same name.
    const { $id: _id, ...anonymous } = schema as Record<string, unknown>;
    // An extension of ajv that would make validation answer with a promise, which is always true.
    if ("$async" in anonymous) throw new Error('"$async" is not a keyword of JSON Schema');
    validate = ajv.compile(anonymous);
    compiled.set(text, validate);
  }
  return validate;
}
