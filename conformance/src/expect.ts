import { isDeepStrictEqual } from "node:util";

/** A rule does not hold: what was expected, and what came. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** This server cannot be asked: the message says what is missing. */
export class Skipped extends Error {
  override readonly name = "Skipped";
}

/** Throws unless the condition holds. */
export function that(holds: boolean, expectation: string): asserts holds {
  if (!holds) throw new Broken(expectation);
}

/** Throws unless both are equal, member by member. */
export function same(actual: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, expected)) throw new Broken(`${what} is ${shown(actual)}, not ${shown(expected)}`);
}

/** Throws unless `actual` has the members of `expected`, to any depth; it may have others. Arrays have the same length. */
export function has(actual: unknown, expected: unknown, what: string): void {
  const differing = difference(actual, expected, "");
  if (differing === undefined) return;
  throw new Broken(`${what}${differing.path} is ${shown(differing.actual)}, not ${shown(differing.expected)}`);
}

interface Difference {
  readonly path: string;
  readonly actual: unknown;
  readonly expected: unknown;
}

function difference(actual: unknown, expected: unknown, path: string): Difference | undefined {
  if (typeof expected !== "object" || expected === null) {
    return Object.is(actual, expected) ? undefined : { path, actual, expected };
  }
  if (typeof actual !== "object" || actual === null) return { path, actual, expected };
  if (Array.isArray(expected) && (!Array.isArray(actual) || actual.length !== expected.length)) {
    return { path, actual, expected };
  }
  for (const [name, value] of Object.entries(expected)) {
    const inner = difference((actual as Record<string, unknown>)[name], value, `${path}.${name}`);
    if (inner) return inner;
  }
  return undefined;
}

const MAX_SHOWN = 300;

function shown(value: unknown): string {
  const text = value === undefined ? "absent" : JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
