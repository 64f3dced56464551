import { type ErrorIssue, type OperationId, requestSchemas, schemas } from "@strait/contract";
import { findJsonProblem, jsonPointer } from "@strait/core";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { validationError } from "../domain/errors.ts";

/** Checks of one operation's request, compiled from the contract. What breaks it is thrown as `validation_error`. */
export interface RequestChecks {
  path(value: Record<string, string>): void;
  /** Fills in defaults, and turns texts into the numbers and booleans that the contract names. */
  query(value: Record<string, unknown>): void;
  /** Fills in defaults. */
  body(value: unknown): void;
  readonly bodyRequired: boolean;
}

/** An answer with hundreds of issues helps nobody. */
const MAX_ISSUES = 20;

const options = { allErrors: true, useDefaults: true, strict: false, ownProperties: true } as const;
const ajv = new Ajv2020({ ...options, schemas: [schemas] });
formats.default(ajv);
ajv.addFormat("date-time", isTimestamp);

/** Compiles the checks of one operation, which takes milliseconds. */
export function requestChecks(id: OperationId): RequestChecks {
  const { path, query, body, bodyRequired } = requestSchemas[id];
  const checkPath = path && ajv.compile(path);
  const checkQuery = ajv.compile({ type: "object", ...query, additionalProperties: false });
  const checkBody = body && ajv.compile(body);
  const fields = (query?.properties ?? {}) as Readonly<Record<string, { readonly type?: string }>>;
  return {
    bodyRequired,
    path: (value) => check(checkPath, value, "/path"),
    query(value) {
      refuseImpossible(value, "/query");
      refuseRepeated(value);
      for (const name of Object.keys(value)) value[name] = meaning(value[name], fields[name]?.type);
      check(checkQuery, value, "/query");
    },
    body(value) {
      refuseImpossible(value, "");
      check(checkBody, value, "");
    },
  };
}

/** What a text of a query means. A number is digits, the first no zero: `1e1`, ` 10` and `010` stay texts, which no number takes. */
function meaning(text: unknown, type: string | undefined): unknown {
  if (type === "integer") return /^(0|-?[1-9]\d*)$/.test(String(text)) ? Number(text) : text;
  if (type === "boolean") return text === "true" || (text === "false" ? false : text);
  return text;
}

function refuseImpossible(value: unknown, base: string): void {
  const problem = findJsonProblem(value);
  if (problem) throw validationError([{ field: base + problem.pointer, rule: problem.rule, fix: problem.fix }]);
}

function refuseRepeated(query: Record<string, unknown>): void {
  const names = Object.keys(query).filter((name) => Array.isArray(query[name]));
  if (names.length === 0) return;
  const [first, ...others] = names.map((name) => ({
    field: `/query${jsonPointer(name)}`,
    rule: "maxItems",
    fix: "give it once",
  }));
  if (first) throw validationError([first, ...others]);
}

function check(validate: ValidateFunction | undefined, value: unknown, base: string): void {
  if (!validate || validate(value)) return;
  const [first, ...rest] = issuesOf(validate.errors ?? [], base);
  if (first) throw validationError([first, ...rest]);
}

/** Turns ajv's errors into fields, rules and fixes. Those of branches that were only tried say nothing to a person. */
function issuesOf(errors: readonly ErrorObject[], base: string): ErrorIssue[] {
  const telling = errors.filter((error) => !["if", "oneOf", "anyOf", "allOf"].includes(error.keyword));
  const chosen = telling.length > 0 ? telling : errors;
  const issues = new Map<string, ErrorIssue>();
  for (const error of chosen.slice(0, MAX_ISSUES)) {
    const issue = issueOf(error.keyword === "type" ? widened(error, chosen) : error, base);
    issues.set(`${issue.field} ${issue.rule}`, issue);
  }
  return [...issues.values()];
}

/** The types of all branches that were tried: a text or null is not to be told as null. */
function widened(error: ErrorObject, errors: readonly ErrorObject[]): ErrorObject {
  const others = errors.filter(
    ({ keyword, instancePath }) => keyword === "type" && instancePath === error.instancePath,
  );
  return { ...error, params: { type: [...new Set(others.flatMap(({ params }) => params.type))] } };
}

function issueOf({ instancePath, keyword, params, message = "is not valid" }: ErrorObject, base: string): ErrorIssue {
  const field = base + instancePath;
  switch (keyword) {
    case "additionalProperties":
      return {
        field: field + jsonPointer(String(params.additionalProperty)),
        rule: keyword,
        fix: "remove it, or correct its name: this request has no such field",
      };
    case "required":
      return { field: field + jsonPointer(String(params.missingProperty)), rule: keyword, fix: "add it" };
    case "type":
      return { field, rule: keyword, fix: `send a value of the type ${[params.type].flat().join(" or ")}` };
    case "enum":
      return {
        field,
        rule: keyword,
        fix: `send one of ${(params.allowedValues as unknown[]).map((value) => JSON.stringify(value)).join(", ")}`,
      };
    case "const":
      return { field, rule: keyword, fix: `send ${JSON.stringify(params.allowedValue)}` };
    case "not":
      return { field, rule: keyword, fix: "send another value: this one means something else here" };
    case "pattern":
      return { field, rule: keyword, fix: `send a text that matches ${String(params.pattern)}` };
    case "format":
      return { field, rule: keyword, fix: formatFix(String(params.format)) };
    default:
      return { field, rule: keyword, fix: `send a value within the limit: it ${message}` };
  }
}

function formatFix(format: string): string {
  switch (format) {
    case "date-time":
      return "send a time such as 2026-11-21T10:00:00Z, from 0001-01-02 to 9999-12-30";
    case "uri":
      return "send an absolute URL such as https://example.com/hook";
    default:
      return "send a value of this format";
  }
}

/** RFC 3339, as far as PostgreSQL goes along: there is no year 0, an offset is below 16 hours, and UTC has four-digit years. */
function isTimestamp(text: string): boolean {
  const { validate } = formats.default.get("date-time") as { validate(text: string): boolean };
  // Some offsets without minutes, and leap seconds, are times that JavaScript does not read.
  if (
    text.startsWith("0000") ||
    Number.isNaN(Date.parse(text)) ||
    !/(z|[+-](0\d|1[0-5])(:?\d\d)?)$/i.test(text) ||
    !validate(text)
  )
    return false;
  return !/^(0001-01-01|9999-12-31)/.test(text);
}
