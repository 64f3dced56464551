import { foreignPage } from "../domain/request-rules.ts";
import { type Statement, sql } from "./sql.ts";

/** One page of a list, as the wire has it. */
export interface Page<Row> {
  data: Row[];
  next_cursor: string | null;
  has_more: boolean;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/**
 * Most lists are newest first, by id: ids are made from the database's time and are unique, so one column orders them and
 * none is lost or shown twice between two pages.
 */
export function olderThan(list: string, page: PageRequest): Statement {
  const id = positionOf(list, page, /^[a-z]+_[0-9a-z]{26}$/);
  return id === undefined ? sql`true` : sql`id < ${id}`;
}

/** How many rows to fetch so that `toPage` can tell whether there are more. */
export const fetchLimit = (page: PageRequest): number => page.limit + 1;

export function toPage<Row extends { id: string }>(list: string, page: PageRequest, rows: Row[]): Page<Row> {
  return cutPage(list, page, rows, (row) => row.id);
}

/** A page of rows that were fetched with `fetchLimit`; the cursor is the position of the last one shown. */
export function cutPage<Row>(
  list: string,
  page: PageRequest,
  rows: Row[],
  positionOfRow: (row: Row) => string,
): Page<Row> {
  const has_more = rows.length > page.limit;
  const data = has_more ? rows.slice(0, page.limit) : rows;
  const last = data.at(-1);
  const next_cursor =
    has_more && last !== undefined ? Buffer.from(`${list}:${positionOfRow(last)}`).toString("base64url") : null;
  return { data, next_cursor, has_more };
}

/** What tells whether a position is one that a list may have given. */
type Shape = Pick<RegExp, "test">;

/** A position in the order of times: the time of a row as answers have it, a space, and what else orders the rows. */
export function timeAnd(rest: RegExp): Shape {
  return {
    test(position) {
      const at = position.indexOf(" ");
      const [time, behind] = [position.slice(0, at), position.slice(at + 1)];
      // Round-tripped, since PostgreSQL would fail at a 30th of February.
      const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(time) && !Number.isNaN(Date.parse(time));
      return isTime && new Date(time).toISOString().slice(0, 19) === time.slice(0, 19) && rest.test(behind);
    },
  };
}

/**
 * The position behind which a page begins; undefined for the first page. A cursor names its list, so a foreign one is
 * refused.
 *
 * @param field - Where the request has the cursor.
 * @throws {StraitError} `validation_error` when the cursor is not one of this list.
 */
export function positionOf(
  list: string,
  { cursor }: Pick<PageRequest, "cursor">,
  shape: Shape,
  field = "/query/cursor",
): string | undefined {
  if (cursor === undefined) return undefined;
  const text = Buffer.from(cursor, "base64url").toString();
  const position = text.slice(list.length + 1);
  if (!text.startsWith(`${list}:`) || !shape.test(position)) {
    throw foreignPage(field);
  }
  return position;
}
