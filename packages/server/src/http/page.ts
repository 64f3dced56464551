import type { PageRequest } from "../store/page.ts";

/** The page that a list is asked for; the contract fills in the default limit. */
export function pageOf(query: { readonly limit?: number; readonly cursor?: string }): PageRequest {
  return { limit: query.limit ?? 50, cursor: query.cursor };
}
