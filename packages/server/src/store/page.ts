import { validationError } from "../domain/errors.ts";
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
 * Lists are newest first, by id: ids are made from the database's time and are unique, so one column orders them and
 * none is lost or shown twice between two pages. The cursor names its list, so that a foreign one is refused.
 */
export function olderThan(list: string, page: PageRequest): Statement {
  return page.cursor === undefined ? sql`true` : sql`id < ${decode(list, page.cursor)}`;
}

/** How many rows to fetch so that `toPage` can tell whether there are more. */
export const fetchLimit = (page: PageRequest): number => page.limit + 1;

export function toPage<Row extends { id: string }>(list: string, page: PageRequest, rows: Row[]): Page<Row> {
  const has_more = rows.length > page.limit;
  const data = has_more ? rows.slice(0, page.limit) : rows;
  const last = data.at(-1);
  return { data, next_cursor: has_more && last ? encode(list, last.id) : null, has_more };
}

function encode(list: string, id: string): string {
  return Buffer.from(`${list}:${id}`).toString("base64url");
}

function decode(list: string, cursor: string): string {
  const text = Buffer.from(cursor, "base64url").toString();
  const id = text.slice(list.length + 1);
  if (!text.startsWith(`${list}:`) || !/^[a-z]+_[0-9a-z]{26}$/.test(id)) {
    throw validationError([
      {
        field: "/query/cursor",
        rule: "must be a next_cursor of this list",
        fix: "pass next_cursor of the previous page unchanged, or leave cursor out to start at the first page",
      },
    ]);
  }
  return id;
}
