/** Writes an RFC 6901 JSON pointer: `jsonPointer("steps", 2, "a/b")` is `/steps/2/a~1b`, and no segments are `""`. */
export function jsonPointer(...segments: readonly (string | number)[]): string {
  return segments.map((segment) => `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
