import type { NearKey, NearKeyReason } from "@strait/contract";
import leven from "leven";
import type { KnownKey } from "../store/event-records.ts";

/** As many wrong letters as are still taken for a slip; two that are swapped are two. */
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
  const edits = leven(event_key, asked.event_key, { maxDistance: MAX_EDITS + 1 });
  if (edits <= MAX_EDITS) return { reason: "spelling", edits };
  const beginning = namespaceOf(asked.event_key);
  return beginning !== "" && event_key.startsWith(beginning) ? { reason: "beginning", edits: 0 } : undefined;
}

/** What stands before the last colon, with it: `review:doc-7` is of the kind `review:`. */
export const namespaceOf = (key: string): string => key.slice(0, key.lastIndexOf(":") + 1);
