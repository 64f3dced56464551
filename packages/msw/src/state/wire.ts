import type { EventRecord } from "@strait/contract";
import { canonicalJson } from "@strait/core";
import { actorOf } from "@strait/server/pure";
import type { StoredEvent } from "./store.ts";

/** SHA-256 of the canonical form of a value, hex. */
export async function digestOf(value: unknown): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonicalJson(value)));
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function recordOf(event: StoredEvent): Promise<EventRecord> {
  return { ...event, actor: actorOf(event.actor), payload_digest: await digestOf(event.payload) };
}

interface Page<Row> {
  readonly data: Row[];
  readonly next_cursor: string | null;
  readonly has_more: boolean;
}

/** A page of rows that stand in order; the cursor is the id of the last one that was shown. */
export function pageOf<Row extends { readonly id: string }>(
  rows: readonly Row[],
  { limit = 50, cursor }: { readonly limit?: number; readonly cursor?: string },
): Page<Row> {
  const start = cursor === undefined ? 0 : rows.findIndex(({ id }) => id === cursor) + 1;
  const data = rows.slice(start, start + limit);
  const has_more = rows.length > start + limit;
  return { data, has_more, next_cursor: has_more ? (data.at(-1)?.id ?? null) : null };
}
