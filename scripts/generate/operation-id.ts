/**
 * The id of an operation: its method in lower case, then each segment of the path in PascalCase, `By` before a
 * parameter. Every run of characters other than ASCII letters and digits is a word break; the case of a word stays as
 * it is but for its first letter, so `{runID}` is `ByRunID`.
 *
 * @example operationId("POST", "/sdk/v1/runs/{runID}/wait-for-event") // "postSdkV1RunsByRunIDWaitForEvent"
 */
export function operationId(method: string, path: string): string {
  const segments = path.split("/").filter((segment) => segment !== "");
  return method.toLowerCase() + segments.map(segmentName).join("");
}

function segmentName(segment: string): string {
  const words = segment.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
  return segment.startsWith("{") ? `By${name}` : name;
}

/** An operation as the document names it. */
export interface NamedOperation {
  readonly method: string;
  readonly path: string;
  readonly operationId: string | undefined;
}

/**
 * What is wrong with the ids of a document, one sentence each: an id that is missing or differs from the derived one,
 * and two operations whose derived ids are the same (`/a-b` and `/a/b`), of which one path has to change.
 */
export function operationIdProblems(operations: readonly NamedOperation[]): string[] {
  const problems: string[] = [];
  const owners = new Map<string, string>();
  for (const { method, path, operationId: written } of operations) {
    const name = `${method.toUpperCase()} ${path}`;
    const derived = operationId(method, path);
    if (written !== derived) {
      problems.push(`${name}: operationId has to be ${derived}, ${written ? `not ${written}` : "and is missing"}`);
    }
    const owner = owners.get(derived);
    if (owner) problems.push(`${name}: its id ${derived} is also that of ${owner}; one of the paths has to change`);
    owners.set(derived, name);
  }
  return problems;
}
