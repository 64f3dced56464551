import { refuseInput } from "./call.ts";
import { ProtocolError } from "./errors.ts";
import type { CallInput, PaginateOptions, Paginator } from "./runtime.ts";

/** The part of a page that all lists share. */
interface Page {
  readonly data: readonly unknown[];
  readonly next_cursor: string | null;
}

/**
 * Follows a list from page to page. Each loop over it starts anew.
 *
 * @throws {ValidationError} At once, when a limit is no whole number.
 * @throws {ProtocolError} When a cursor comes back, so that the list would never end.
 */
export function paginate(
  id: string,
  fetchPage: (input: CallInput) => Promise<unknown>,
  input: CallInput = {},
  { maxItems = Number.POSITIVE_INFINITY, maxPages = Number.POSITIVE_INFINITY }: PaginateOptions = {},
): Paginator<unknown, unknown> {
  for (const [name, limit] of Object.entries({ maxItems, maxPages })) {
    if (!(limit >= 0 && Math.floor(limit) === limit)) throw refuseInput(id)(name, "must be a whole number, 0 or more");
  }

  async function* pages(): AsyncGenerator<Page, void, undefined> {
    const seen = new Set<string>();
    let query = input.query;
    for (let count = 0; count < maxPages; count++) {
      // Typed by the generated interface: what is marked as a list answers pages.
      const page = (await fetchPage({ ...input, query })) as Page;
      yield page;
      const { next_cursor: cursor } = page;
      if (cursor === null) return;
      if (seen.has(cursor)) {
        const message = `the cursor of page ${count + 1} was there before, so the list would never end`;
        throw new ProtocolError(message, { operationId: id, attempts: count + 1 });
      }
      seen.add(cursor);
      query = { ...query, cursor };
    }
  }

  return {
    pages,
    async *[Symbol.asyncIterator]() {
      let count = 0;
      if (maxItems <= 0) return;
      for await (const { data } of pages()) {
        for (const item of data) {
          yield item;
          count += 1;
          if (count >= maxItems) return;
        }
      }
    },
  };
}
