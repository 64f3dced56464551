/** JSON for a header: what is not ASCII is escaped, which leaves the value the same. */
export function asciiJson(json: string): string {
  return json.replace(/[^\u0020-\u007e]/g, (unit) =>
    /\s/.test(unit) && unit < "\u0020" ? " " : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
