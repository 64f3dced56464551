/**
 * Writes a JSON value in the canonical form of RFC 8785: members sorted by UTF-16 code units, no white space, numbers
 * and strings as ECMAScript writes them. Equal values have equal texts, so the text can be hashed or signed.
 *
 * @throws {TypeError} When the value is not JSON: `undefined`, NaN, an infinity, a bigint, a function, a lone surrogate.
 */
export function canonicalJson(value: unknown): string {
  return isCanonical(value) ? JSON.stringify(value) : written(value);
}

/** Whether `JSON.stringify` writes the value in this form already, as it does most: it is quicker than what follows. */
function isCanonical(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object") return typeof value === "boolean" || Number.isFinite(value);
  if (value === null) return true;
  if (Array.isArray(value)) return value.every(isCanonical);
  let last = "";
  for (const [name, member] of Object.entries(value)) {
    if (name < last || !name.isWellFormed() || !isCanonical(member)) return false;
    last = name;
  }
  return true;
}

function written(value: unknown): string {
  if (typeof value === "string") return canonicalString(value);
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(written).join(",")}]`;
  if (typeof value === "object") {
    const object = value as Readonly<Record<string, unknown>>;
    const names = Object.keys(object).sort();
    return `{${names.map((name) => `${canonicalString(name)}:${written(object[name])}`).join(",")}}`;
  }
  throw new TypeError(`${String(value)} is not a JSON value`);
}

/** Whether two JSON values have the same canonical form, without writing it. */
export function jsonEquals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => jsonEquals(item, b[index]));
  }
  if (Array.isArray(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  return names.every((name) => Object.hasOwn(right, name) && jsonEquals(left[name], right[name]));
}

function canonicalString(text: string): string {
  if (!text.isWellFormed()) throw new TypeError(`${JSON.stringify(text)} is not well-formed Unicode`);
  return JSON.stringify(text);
}
