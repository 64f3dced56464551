/** What is given more than once is a list, which no parameter takes. */
export function queryOf(url: string): Record<string, string | readonly string[]> {
  const at = url.indexOf("?");
  if (at === -1) return {};
  const given = new URLSearchParams(url.slice(at + 1));
  const query = Object.fromEntries(given);
  return given.size === Object.keys(query).length
    ? query
    : Object.fromEntries(Object.keys(query).map((name) => [name, listed(given.getAll(name))]));
}

const listed = (values: readonly string[]): string | readonly string[] =>
  values.length > 1 ? values : (values[0] ?? "");
