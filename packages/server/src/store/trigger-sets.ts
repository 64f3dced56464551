import { hash } from "node:crypto";
import type { EventTrigger } from "@strait/contract";
import { endOfPrefix } from "@strait/core";
import { cutPage, type Page, positionOf } from "./page.ts";
import { atMicros, microsOf, nothing, type Queryable, type Statement, sql } from "./sql.ts";
import { columns } from "./triggers.ts";

/** One of many waits to be answered at once. */
export interface WaitingTrigger extends EventTrigger, Beside {}

/** What stands in the row of a wait beside it. */
interface Beside extends Place, Partial<SetSummary> {
  /** Whether others depend on its answer: those that wait on its key too, for which it stands, or those of its group. */
  readonly is_shared: boolean;
  /** What an answer to it has to hold, and what those to the page up to here have to, but for the first. */
  readonly bytes: number;
  readonly bytes_so_far: number;
}

/** How long the answers to a page may be together; the first one is given in any case. */
export interface Room {
  readonly bytes: number;
  /** Of what each is answered with. */
  readonly payload_bytes: number;
}

/** Where a page may end. Microseconds of the epoch. */
interface Place {
  readonly opened_us: number;
  readonly now_us: number;
}

/** Leaves in JSON nothing but the wait. */
export const nothingBeside = {
  is_shared: undefined,
  bytes: undefined,
  bytes_so_far: undefined,
  opened_us: undefined,
  now_us: undefined,
  count: undefined,
  digest: undefined,
} as const satisfies Record<keyof Beside, undefined>;

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

/**
 * The waits under a prefix, as one snapshot has them: a range of the index of what waits, so that others do not count. Of
 * those that share a key the first stands for all. Later pages leave out what has opened since the first, or a set that answers make grow would never end.
 *
 * @throws {StraitError} `validation_error` when the cursor is not one of this prefix.
 */
export function waitingUnder(
  db: Queryable,
  request: WaitingSetRequest,
  room: Room,
): Promise<WaitingSet<WaitingTrigger>> {
  const selected = sql`${columns}, (t.slot <> '' OR t.group_id IS NOT NULL) AS is_shared`;
  return setOf<WaitingTrigger>(db, request, selected, room);
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

/** Of a page the waits for which there is room, and the next one, which tells that there are more. */
const within = (page: Statement, room: Room): Statement => sql`
  SELECT * FROM (
    SELECT p.*, (sum(p.bytes) OVER place - first_value(p.bytes) OVER place)::int8 AS bytes_so_far FROM (
      SELECT p.*, ${room.payload_bytes}::int4 + coalesce(octet_length(p.request_payload::text), 0)
        + coalesce(octet_length(p.payload_schema::text), 0) + coalesce(octet_length(p.timeout_payload::text), 0) AS bytes
      FROM (${page}) p) p
    WINDOW place AS (ORDER BY p.requested_at, p.id ROWS UNBOUNDED PRECEDING)) p
  WHERE bytes_so_far - bytes <= ${room.bytes}::int8 ORDER BY requested_at, id`;

async function setOf<Wait>(
  db: Queryable,
  request: WaitingSetRequest,
  selected: Statement,
  room?: Room,
): Promise<WaitingSet<Wait>> {
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
      ${position === null ? nothing : sql`AND t.requested_at <= ${atMicros(Number(untilUs))} AND (t.requested_at, t.id) > (${atMicros(Number(openedUs))}, ${id})`}`;
  const longest = sql`
    SELECT ${selected}, ${microsOf(sql`t.requested_at`)} AS opened_us, ${microsOf(sql`strait_now()`)} AS now_us
    ${members} ORDER BY t.requested_at, t.id LIMIT ${limit + 1}`;
  const page = room === undefined ? longest : within(longest, room);
  const pageAndSummary = sql`
    SELECT p.*, s.count, s.digest FROM (
      SELECT count(*)::int4 AS count, encode(sha256(convert_to(
        coalesce(string_agg(t.id, ' ' ORDER BY t.requested_at, t.id), ''), 'UTF8')), 'hex') AS digest
      ${members}) s
    LEFT JOIN (${page}) p ON true ORDER BY p.opened_us, p.id`;
  type Row = Wait & { readonly id: string; readonly bytes_so_far?: number } & Place & Partial<SetSummary>;
  const found = await db.query<Row | (Row & { readonly id: null })>(withSummary ? pageAndSummary : page);
  const { count, digest } = found[0] ?? {};
  const rows = found.filter((row): row is Row => row.id !== null);
  const fitting = room === undefined ? rows : rows.filter(({ bytes_so_far = 0 }) => bytes_so_far <= room.bytes);
  return {
    page: cutPage(
      list,
      { limit: Math.min(limit, fitting.length) },
      rows,
      (row) => `${row.opened_us}.${row.id}.${untilUs ?? row.now_us}`,
    ),
    summary: count === undefined || digest === undefined ? null : { count, digest },
  };
}
