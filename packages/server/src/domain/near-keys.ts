import type { NearKey, NearKeyReason } from "@strait/contract";

/** A key on which somebody has waited. */
export type KnownKey = Omit<NearKey, "reason">;

/** As many wrong letters as are still taken for a slip. */
const MAX_EDITS = 2;
const MAX_KEYS = 5;
const ORDER: readonly NearKeyReason[] = ["environment", "case", "spelling", "beginning"];

/** Of the keys that there are, those that may have been meant by one that nobody ever waited on: the nearest first. */
export function nearestKeys(
  asked: { readonly event_key: string; readonly environment_id: string },
  known: readonly KnownKey[],
): NearKey[] {
  const found = new Map<string, { key: NearKey; rank: number }>();
  for (const candidate of known) {
    const near = nearness(asked, candidate);
    if (!near) continue;
    const rank = ORDER.indexOf(near.reason) + near.edits / 10;
    found.set(`${candidate.environment_id} ${candidate.event_key}`, {
      key: { ...candidate, reason: near.reason },
      rank,
    });
  }
  return [...found.values()]
    .toSorted((a, b) => a.rank - b.rank || (a.key.event_key < b.key.event_key ? -1 : 1))
    .slice(0, MAX_KEYS)
    .map(({ key }) => key);
}

function nearness(
  asked: { readonly event_key: string; readonly environment_id: string },
  { event_key, environment_id }: KnownKey,
): { reason: NearKeyReason; edits: number } | undefined {
  if (event_key === asked.event_key) {
    return environment_id === asked.environment_id ? undefined : { reason: "environment", edits: 0 };
  }
  if (environment_id !== asked.environment_id) return undefined;
  if (event_key.toLowerCase() === asked.event_key.toLowerCase()) return { reason: "case", edits: 0 };
  const edits = editDistance(event_key, asked.event_key, MAX_EDITS);
  if (edits !== undefined) return { reason: "spelling", edits };
  const beginning = namespaceOf(asked.event_key);
  return beginning !== "" && event_key.startsWith(beginning) ? { reason: "beginning", edits: 0 } : undefined;
}

/** What stands before the last colon, with it: `review:doc-7` is of the kind `review:`. */
export const namespaceOf = (key: string): string => key.slice(0, key.lastIndexOf(":") + 1);

/**
 * How many characters have to be put in, left out, exchanged, or swapped with the next one to make `b` of `a`.
 *
 * @returns Undefined for more than `limit`.
 */
export function editDistance(a: string, b: string, limit: number): number | undefined {
  if (Math.abs(a.length - b.length) > limit) return undefined;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        at(last, j) + 1,
        at(row, j - 1) + 1,
        at(last, j - 1) + (isSame ? 0 : 1),
        isSwapped ? at(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    if (Math.min(...row) > limit) return undefined;
    [beforeLast, last] = [last, row];
  }
  const distance = at(last, b.length);
  return distance > limit ? undefined : distance;
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
