import { hash } from "node:crypto";
import type { EventTrigger } from "@strait/contract";
import { endOfPrefix } from "@strait/core";
import { cutPage, type Page, positionOf } from "./page.ts";
import { nothing, type Queryable, type Statement, sql } from "./sql.ts";
import { columns } from "./triggers.ts";

/** One of many waits to be answered at once. */
export interface WaitingTrigger extends EventTrigger, Place {
  /** Whether others depend on its answer: those that wait on its key too, for which it stands, or those of its group. */
  readonly is_shared: boolean;
}

/** Where a page may end. Microseconds of the epoch. */
interface Place {
  readonly opened_us: number;
  readonly now_us: number;
}

export interface WaitingSet<Wait> {
  /** Those that opened first before the others. */
  readonly page: Page<Wait>;
  /** Of the page and all behind it; only where asked for. */
  readonly summary: SetSummary | null;
}

export interface SetSummary {
  readonly count: number;
  readonly digest: string;
}

export interface WaitingSetRequest {
  readonly project_id: string;
  readonly environment_id: string;
  /** In NFC, compared byte for byte. */
  readonly prefix: string;
  readonly limit: number;
  readonly cursor: string | undefined;
  readonly withSummary: boolean;
}

/** Microseconds of the epoch at which the last one opened, its id, and when the first page was read. */
const POSITION = /^(\d{1,16})\.(trg_[0-9a-z]{26})\.(\d{1,16})$/;
const at = (micros: number) => sql`(timestamptz 'epoch' + ${micros}::float8 * interval '1 microsecond')`;
const micros = (time: ReturnType<typeof sql>) => sql`(extract(epoch FROM ${time}) * 1000000)::int8`;

/**
 * The waits under a prefix, as one snapshot has them: a range of the index of what waits, so that others do not count. Of
 * those that share a key the first stands for all. Later pages leave out what has opened since the first, or a set that answers make grow would never end.
 *
 * @throws {StraitError} `validation_error` when the cursor is not one of this prefix.
 */
export function waitingUnder(db: Queryable, request: WaitingSetRequest): Promise<WaitingSet<WaitingTrigger>> {
  return setOf(db, request, sql`${columns}, (t.slot <> '' OR t.group_id IS NOT NULL) AS is_shared`);
}

/** The same, of which only the keys and the summary are asked for. */
export async function keysUnder(
  db: Queryable,
  request: Omit<WaitingSetRequest, "withSummary">,
): Promise<{ readonly page: Page<Pick<EventTrigger, "event_key">>; readonly summary: SetSummary }> {
  const asked = { ...request, withSummary: true };
  const { page, summary } = await setOf<Pick<EventTrigger, "event_key">>(db, asked, sql`t.id, t.event_key`);
  if (summary === null) throw new Error("a set was not summed up");
  return { page, summary };
}

async function setOf<Wait>(db: Queryable, request: WaitingSetRequest, selected: Statement): Promise<WaitingSet<Wait>> {
  const { project_id, environment_id, prefix, limit, withSummary } = request;
  const list = `prefix ${hash("sha256", prefix).slice(0, 16)}`;
  const position = POSITION.exec(positionOf(list, request, POSITION, "/cursor") ?? "");
  const [, openedUs, id, untilUs] = position ?? [];
  const end = endOfPrefix(prefix);
  const members = sql`
    FROM event_triggers t
    WHERE t.project_id = ${project_id} AND t.environment_id = ${environment_id} AND t.status = 'waiting'
      AND (t.slot = '' OR t.slot = (
        SELECT o.slot FROM event_triggers o WHERE o.project_id = t.project_id AND o.environment_id = t.environment_id
          AND o.event_key = t.event_key AND o.status = 'waiting' AND o.trigger_type = 'event' ORDER BY o.slot LIMIT 1))
      AND t.trigger_type = 'event' AND t.event_key >= ${prefix} ${end === undefined ? nothing : sql`AND t.event_key < ${end}`}
      ${position === null ? nothing : sql`AND t.requested_at <= ${at(Number(untilUs))} AND (t.requested_at, t.id) > (${at(Number(openedUs))}, ${id})`}`;
  const page = sql`
    SELECT ${selected}, ${micros(sql`t.requested_at`)} AS opened_us, ${micros(sql`strait_now()`)} AS now_us
    ${members} ORDER BY t.requested_at, t.id LIMIT ${limit + 1}`;
  const pageAndSummary = sql`
    SELECT p.*, s.count, s.digest FROM (
      SELECT count(*)::int4 AS count, encode(sha256(convert_to(
        coalesce(string_agg(t.id, ' ' ORDER BY t.requested_at, t.id), ''), 'UTF8')), 'hex') AS digest
      ${members}) s
    LEFT JOIN (${page}) p ON true ORDER BY p.opened_us, p.id`;
  type Row = Wait & { readonly id: string } & Place & Partial<SetSummary>;
  const rows = await db.query<Row | (Row & { readonly id: null })>(withSummary ? pageAndSummary : page);
  const { count, digest } = rows[0] ?? {};
  return {
    page: cutPage(
      list,
      { limit },
      rows.filter((row): row is Row => row.id !== null),
      (row) => `${row.opened_us}.${row.id}.${untilUs ?? row.now_us}`,
    ),
    summary: count === undefined || digest === undefined ? null : { count, digest },
  };
}
