import { validationError } from "../domain/errors.ts";

/** What is given more than once is a list, which no parameter takes. */
export function queryOf(url: string): Record<string, string | readonly string[]> {
  const at = url.indexOf("?");
  if (at === -1) return {};
  const text = url.slice(at + 1);
  checkEncoding(text, "/query");
  const given = new URLSearchParams(text);
  const query = Object.fromEntries(given);
  return given.size === Object.keys(query).length
    ? query
    : Object.fromEntries(Object.keys(query).map((name) => [name, listed(given.getAll(name))]));
}

const listed = (values: readonly string[]): string | readonly string[] =>
  values.length > 1 ? values : (values[0] ?? "");

/** @throws {StraitError} `validation_error` for percent signs that encode nothing. */
export function checkEncoding(text: string, field: "/path" | "/query"): void {
  if (!text.includes("%")) return;
  try {
    decodeURIComponent(text);
  } catch {
    const fix = "encode values as UTF-8 with encodeURIComponent, a percent sign as %25";
    throw validationError([{ field, rule: "percentEncoding", fix }]);
  }
}
