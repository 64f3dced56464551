import { jsonPointer } from "@strait/core";

/** A string, so that its digits are passed over, or a number. Takes a long string in one piece: each step needs stack. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi;

/** Deeper than any body that is accepted. */
const MAX_DEPTH = 200;

/**
 * Where a JSON text has an integer that a double cannot hold, as a pointer; undefined where it has none. `value` is what
 * `JSON.parse` has made of the text.
 */
export function findUnsafeInteger(text: string, value: unknown): string | undefined {
  // Nearly every body ends here.
  if (!/\d{16}/.test(text)) return undefined;
  for (const [token] of text.matchAll(TOKEN)) {
    if (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token))) return whereIs(Number(token), value, []) ?? "";
  }
  return undefined;
}

function whereIs(wanted: number, value: unknown, path: readonly (string | number)[]): string | undefined {
  if (value === wanted) return path.length === 0 ? "" : jsonPointer(...path);
  if (typeof value !== "object" || value === null || path.length === MAX_DEPTH) return undefined;
  for (const [key, child] of Object.entries(value)) {
    const found = whereIs(wanted, child, [...path, key]);
    if (found !== undefined) return found;
  }
  return undefined;
}
