import type { Problem } from "./checked.ts";
import { jsonPointer } from "./json-pointer.ts";

/** How deeply arrays and objects may be nested; a scalar has depth 0. */
export const MAX_JSON_DEPTH = 512;

/** The first thing in a JSON value that may not be stored, and where it stands. */
export interface JsonProblem extends Problem {
  /** RFC 6901 pointer to the value, or to the member whose name is at fault. */
  readonly pointer: string;
}

const nulCharacter = { rule: "nulCharacter", fix: "remove the character U+0000 from the text" };
const loneSurrogate = { rule: "wellFormed", fix: "remove the half of a surrogate pair from the text" };
const notFinite = { rule: "finite", fix: "send a number between -1.8e308 and 1.8e308, or send it as a string" };
const tooDeep = {
  rule: "maxDepth",
  fix: `nest at most ${MAX_JSON_DEPTH} levels deep, or send the inner part as a string of JSON`,
};

/**
 * Looks for what PostgreSQL would refuse, or could not give back: U+0000 and lone surrogates in strings and member
 * names, numbers that became infinite when they were parsed, and nesting deeper than {@link MAX_JSON_DEPTH}.
 *
 * @param value - A parsed JSON value.
 * @returns The first problem in document order, or `undefined`.
 */
export function findJsonProblem(value: unknown): JsonProblem | undefined {
  const found = find(value, 0);
  return found && { pointer: jsonPointer(...found.path.reverse()), rule: found.problem.rule, fix: found.problem.fix };
}

interface Found {
  readonly problem: Problem;
  /** From the problem up to the root, so that a value without a problem builds no path. */
  readonly path: (string | number)[];
}

// Recursion is safe here because it ends at MAX_JSON_DEPTH.
function find(value: unknown, depth: number): Found | undefined {
  if (typeof value === "string") return inText(value);
  if (typeof value === "number") return Number.isFinite(value) ? undefined : { problem: notFinite, path: [] };
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === MAX_JSON_DEPTH) return { problem: tooDeep, path: [] };
  return Array.isArray(value) ? inArray(value, depth) : inObject(value, depth);
}

function inArray(array: readonly unknown[], depth: number): Found | undefined {
  for (let index = 0; index < array.length; index++) {
    const found = find(array[index], depth + 1);
    if (found) return below(index, found);
  }
  return undefined;
}

function inObject(object: object, depth: number): Found | undefined {
  for (const name of Object.keys(object)) {
    const found = inText(name) ?? find((object as Record<string, unknown>)[name], depth + 1);
    if (found) return below(name, found);
  }
  return undefined;
}

function inText(text: string): Found | undefined {
  if (text.includes("\0")) return { problem: nulCharacter, path: [] };
  return text.isWellFormed() ? undefined : { problem: loneSurrogate, path: [] };
}

function below(segment: string | number, found: Found): Found {
  found.path.push(segment);
  return found;
}
