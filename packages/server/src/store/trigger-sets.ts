import { hash } from "node:crypto";
import type { EventTrigger } from "@strait/contract";
import { endOfPrefix } from "@strait/core";
import { cutPage, type Page, positionOf } from "./page.ts";
import { type Queryable, sql } from "./sql.ts";

/** One of many waits to be answered at once. */
export interface WaitingTrigger {
  readonly id: string;
  readonly event_key: string;
  readonly generation: number;
  /** Whether others depend on its answer: those that wait on its key too, for which it stands, or those of its group. */
  readonly is_shared: boolean;
  readonly job_run_id: string | null;
  /** The schema that an answer must fit; null for none. */
  readonly payload_schema: EventTrigger["payload_schema"];
  /** The expression that must be true of an answer; null for none. */
  readonly filter: string | null;
  /** How large an answer may be; null for as large as any. */
  readonly max_payload_bytes: number | null;
}

export interface WaitingSet {
  /** Those that opened first before the others. */
  readonly page: Page<WaitingTrigger>;
  /** Of the page and all behind it; only where asked for. */
  readonly summary: { readonly count: number; readonly digest: string } | null;
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

interface Row extends WaitingTrigger, Partial<NonNullable<WaitingSet["summary"]>> {
  readonly opened_us: number;
  readonly now_us: number;
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
export async function waitingUnder(db: Queryable, request: WaitingSetRequest): Promise<WaitingSet> {
  const { project_id, environment_id, prefix, limit, withSummary } = request;
  const list = `prefix ${hash("sha256", prefix).slice(0, 16)}`;
  const position = POSITION.exec(positionOf(list, request, POSITION, "/cursor") ?? "");
  const [, openedUs, id, untilUs] = position ?? [];
  const end = endOfPrefix(prefix);
  const page = sql`
    SELECT ${columns}, ${micros(sql`requested_at`)} AS opened_us, ${micros(sql`strait_now()`)} AS now_us
    FROM member ORDER BY requested_at, id LIMIT ${limit + 1}`;
  const rows = await db.query<Row | (Row & { readonly id: null })>(sql`
    WITH member AS (
      SELECT id, event_key, generation, (slot <> '' OR group_id IS NOT NULL) AS is_shared, job_run_id, payload_schema, filter,
        max_payload_bytes, requested_at
      FROM event_triggers t
      WHERE project_id = ${project_id} AND environment_id = ${environment_id} AND status = 'waiting'
        AND (slot = '' OR slot = (
          SELECT o.slot FROM event_triggers o WHERE o.project_id = t.project_id AND o.environment_id = t.environment_id
            AND o.event_key = t.event_key AND o.status = 'waiting' AND o.trigger_type = 'event' ORDER BY o.slot LIMIT 1))
        AND trigger_type = 'event' AND event_key >= ${prefix} ${end === undefined ? NONE : sql`AND event_key < ${end}`}
        ${position === null ? NONE : sql`AND requested_at <= ${at(Number(untilUs))} AND (requested_at, id) > (${at(Number(openedUs))}, ${id})`})
    ${withSummary ? sql`, page AS (${page}) ${PAGE_AND_SUMMARY}` : page}`);
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

const NONE = sql``;
const columns = sql`id, event_key, generation, is_shared, job_run_id, payload_schema, filter, max_payload_bytes`;
const PAGE_AND_SUMMARY = sql`
    SELECT p.*, s.count, s.digest FROM (
      SELECT count(*)::int4 AS count, encode(sha256(convert_to(
        coalesce(string_agg(id, ' ' ORDER BY requested_at, id), ''), 'UTF8')), 'hex') AS digest
      FROM member) s
    LEFT JOIN page p ON true ORDER BY p.opened_us, p.id`;
