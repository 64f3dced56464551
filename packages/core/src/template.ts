import type { Problem } from "./checked.ts";
import { jsonPointer } from "./json-pointer.ts";

/** What placeholders can name. */
export interface TemplateScope {
  /** The payload of the workflow run. A path that starts with none of these names is looked up in it too. */
  readonly payload: unknown;
  /** The outputs of completed steps, by `step_ref`. */
  readonly parent_outputs: Readonly<Record<string, unknown>>;
  readonly workflow_run_id: string;
  readonly workflow_id: string;
  readonly project_id: string;
  readonly step_ref: string;
}

const scopeNames = ["payload", "parent_outputs", "workflow_run_id", "workflow_id", "project_id", "step_ref"] as const;

/** A placeholder in a template. */
export interface TemplatePath {
  /** As written: `{{ payload.a.b }}`. */
  readonly placeholder: string;
  /** Its segments, the name in the scope first: `["payload", "a", "b"]`, also for the bare path `a.b`. */
  readonly path: readonly [keyof TemplateScope, ...string[]];
  /** RFC 6901 pointer to the text that it stands in. */
  readonly pointer: string;
}

/** Something that looks like a placeholder and is none, or one whose name is nearly one of the scope. */
export interface TemplateProblem extends Problem {
  readonly rule: "placeholder" | "scopeName";
  /** RFC 6901 pointer to the text that it stands in. */
  readonly pointer: string;
}

/** A template with its placeholders filled, or the first placeholder that could not be. */
export type Rendered<Value> =
  | { readonly ok: true; readonly value: Value }
  | {
      readonly ok: false;
      readonly placeholder: string;
      /** RFC 6901 pointer to the text that it stands in. */
      readonly pointer: string;
      /** One sentence that names the placeholder and what is missing. */
      readonly message: string;
    };

const PATH = /^ *[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)* *$/;
const INDEX = /^(?:0|[1-9]\d*)$/;

/**
 * Fills the placeholders in all strings of a JSON value, however deep; names of members are left alone.
 *
 * A string that is nothing but one placeholder becomes the value itself, with its JSON type. Inside a longer string the
 * value becomes text: null is the empty string, objects and arrays are JSON. What is put in is not rendered again.
 */
export function renderTemplate(template: unknown, scope: TemplateScope): Rendered<unknown> {
  const failures: Rendered<never>[] = [];
  const value = mapTexts(template, [], (text, at) => {
    const filled = fill(text, at, scope, () => undefined);
    if (!filled.ok) {
      failures.push(filled);
      return text;
    }
    return filled.value.length === 1 ? filled.value[0] : filled.value.map(toText).join("");
  });
  return failures[0] ?? { ok: true, value };
}

/**
 * Fills the placeholders of a text that names something, such as an event key. A value that would leave a hole in the
 * name, or that has no one text form, counts as missing: null, the empty string, an object, an array.
 */
export function renderText(template: string, scope: TemplateScope): Rendered<string> {
  const filled = fill(template, [], scope, (value) => {
    if (value === "") return "it is the empty string";
    return typeof value === "object" ? `it is ${kind(value)}, not a string or a number` : undefined;
  });
  return filled.ok ? { ok: true, value: filled.value.join("") } : filled;
}

/**
 * Reads the placeholders of a template without filling them, so that it can be checked when it is saved. A bare path that
 * begins with a slip, such as `{{parent_output.a}}`, is a problem, although it could be filled: who means a member of the payload
 * can write `{{payload.parent_output.a}}`.
 */
export function templatePaths(template: unknown): { paths: TemplatePath[]; problems: TemplateProblem[] } {
  const paths: TemplatePath[] = [];
  const problems: TemplateProblem[] = [];
  mapTexts(template, [], (text, at) => {
    const parts = parse(text);
    if (!parts.ok) {
      problems.push({ rule: "placeholder", pointer: jsonPointer(...at), fix: parts.fix });
      return text;
    }
    for (const part of parts.value) {
      if (typeof part === "string") continue;
      const { isBare, ...path } = part;
      paths.push({ ...path, pointer: jsonPointer(...at) });
      const fix = isBare ? slipFix(path.path) : undefined;
      if (fix !== undefined) problems.push({ rule: "scopeName", pointer: jsonPointer(...at), fix });
    }
    return text;
  });
  return { paths, problems };
}

type Part = string | (Pick<TemplatePath, "placeholder" | "path"> & { readonly isBare: boolean });
type Parsed = { ok: true; value: Part[] } | { ok: false; placeholder: string; fix: string };

/** Cuts a text into literal parts and placeholders. Linear: an unclosed `{{` ends it. */
function parse(text: string): Parsed {
  const value: Part[] = [];
  let at = 0;
  for (let open = text.indexOf("{{"); open !== -1; open = text.indexOf("{{", at)) {
    const close = text.indexOf("}}", open + 2);
    const placeholder = close === -1 ? text.slice(open) : text.slice(open, close + 2);
    const inner = placeholder.slice(2, -2);
    if (close === -1 || !PATH.test(inner)) return { ok: false, placeholder, fix: syntaxFix(placeholder) };
    if (open > at) value.push(text.slice(at, open));
    value.push({ placeholder, ...scoped(inner.trim().split(".")) });
    at = close + 2;
  }
  if (at < text.length) value.push(text.slice(at));
  return { ok: true, value };
}

function syntaxFix(placeholder: string): string {
  const shown = placeholder.length > 60 ? `${placeholder.slice(0, 60)}…` : placeholder;
  return (
    `write a placeholder such as {{payload.user_id}} instead of ${shown}; ` +
    "literal {{ can only come from the payload"
  );
}

/** Brings the bare path `a.b` into the form `payload.a.b`. */
function scoped(segments: string[]): { path: TemplatePath["path"]; isBare: boolean } {
  const name = scopeNames.find((known) => known === segments[0]);
  if (name === undefined) return { path: ["payload", ...segments], isBare: true };
  return { path: [name, ...segments.slice(1)], isBare: false };
}

/** What to write instead of a bare path whose first name is nearly one of the scope; undefined for any other. */
function slipFix([, first = "", ...others]: TemplatePath["path"]): string | undefined {
  const name = scopeNames.find((known) => isSlip(folded(first), folded(known)));
  if (name === undefined) return undefined;
  const [meant, literal] = [[name], ["payload", first]].map((path) => `{{${[...path, ...others].join(".")}}}`);
  return `write ${meant}, or ${literal} if the payload has a member ${JSON.stringify(first)}`;
}

const folded = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, "");

/** Whether one letter is missing, added or wrong, or two are swapped, if anything. */
function isSlip(given: string, name: string): boolean {
  const shorter = Math.min(given.length, name.length);
  let start = 0;
  while (start < shorter && given[start] === name[start]) start++;
  let end = 0;
  while (end < shorter - start && given.at(-1 - end) === name.at(-1 - end)) end++;
  const [a, b] = [given.slice(start, given.length - end), name.slice(start, name.length - end)];
  return (a.length < 2 && b.length < 2) || (a.length === 2 && a === [...b].reverse().join(""));
}

/** The literal parts and the values of a text, in order. `refuse` says why a value will not do, if so. */
function fill(
  text: string,
  at: readonly (string | number)[],
  scope: TemplateScope,
  refuse: (value: unknown) => string | undefined,
): Rendered<unknown[]> {
  const parts = parse(text);
  if (!parts.ok) return failure(parts.placeholder, at, parts.fix);
  const values: unknown[] = [];
  for (const part of parts.value) {
    if (typeof part === "string") {
      values.push(part);
      continue;
    }
    const found = resolve(part.path, scope);
    const why = found.ok ? refuse(found.value) : found.why;
    if (why !== undefined) return failure(part.placeholder, at, why);
    values.push(found.value);
  }
  return { ok: true, value: values };
}

function toText(value: unknown): string {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

type Resolved = { ok: true; value: unknown } | { ok: false; why: string; value?: never };

function resolve(path: TemplatePath["path"], scope: TemplateScope): Resolved {
  const [name, ...segments] = path;
  let value: unknown = scope[name];
  for (const [index, segment] of segments.entries()) {
    const next = member(value, segment);
    if (next === undefined) {
      const reached = path.slice(0, index + 1).join(".");
      return { ok: false, why: `${reached}, ${kind(value)}, has no ${JSON.stringify(segment)}` };
    }
    value = next;
  }
  return { ok: true, value };
}

/** Own members only, so that `__proto__` and `constructor` find nothing that the payload did not bring. */
function member(value: unknown, segment: string): unknown {
  if (Array.isArray(value)) return INDEX.test(segment) ? value[Number(segment)] : undefined;
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, segment)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[segment];
}

function kind(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function failure(placeholder: string, at: readonly (string | number)[], why: string): Rendered<never> {
  return { ok: false, placeholder, pointer: jsonPointer(...at), message: `${placeholder} has no value: ${why}` };
}

/** A copy of a JSON value with every string replaced. JSON is at most 512 levels deep, so recursion is safe. */
function mapTexts(
  value: unknown,
  at: readonly (string | number)[],
  map: (text: string, at: readonly (string | number)[]) => unknown,
): unknown {
  if (typeof value === "string") return map(value, at);
  if (Array.isArray(value)) return value.map((item, index) => mapTexts(item, [...at, index], map));
  if (typeof value !== "object" || value === null) return value;
  // Object.fromEntries defines members, so that one called `__proto__` stays a member.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapTexts(item, [...at, name], map)]));
}
