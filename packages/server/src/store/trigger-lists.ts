import type { EventTrigger, SourceType, TriggerStatus } from "@strait/contract";
import { endOfPrefix } from "@strait/core";
import { cutPage, fetchLimit, olderThan, type Page, type PageRequest, positionOf, timeAnd, toPage } from "./page.ts";
import { ifGiven, type Queryable, type Statement, sql } from "./sql.ts";
import { columns } from "./triggers.ts";

/** Which triggers a list shows; what is absent does not narrow it. */
export interface TriggerFilter {
  readonly status?: TriggerStatus | undefined;
  readonly source_type?: SourceType | undefined;
  readonly workflow_run_id?: string | undefined;
  /** In NFC, compared byte for byte. */
  readonly prefix?: string | undefined;
  /** Of what waits: the deadline is at this time or later. */
  readonly expires_after?: string | undefined;
  /** Of what waits: the deadline is before this time. */
  readonly expires_before?: string | undefined;
}

/**
 * A page of triggers. A deadline window is read in the order of deadlines, a prefix in the order of keys, and everything
 * else newest first: each filter has an index in the order of its pages, so a page costs the same however many triggers
 * there are.
 */
export function list(
  db: Queryable,
  projectId: string,
  filter: TriggerFilter,
  page: PageRequest,
): Promise<Page<EventTrigger>> {
  const { expires_after, expires_before, prefix } = filter;
  const condition = conditionOf(projectId, filter);
  if (expires_after !== undefined || expires_before !== undefined) return byDeadline(db, condition, page);
  return prefix === undefined ? newestFirst(db, condition, page) : byKey(db, condition, page);
}

/** "Waits" is said as the index of a project's deadlines says it, or that of all projects' deadlines would look as good. */
function conditionOf(projectId: string, filter: TriggerFilter): Statement {
  const { expires_after, expires_before, prefix = "" } = filter;
  const end = endOfPrefix(prefix);
  return sql`t.project_id = ${projectId} AND ${ifGiven(filter.status, (status) => sql`t.status = ${status}`)}
      AND ${ifGiven(filter.source_type, (type) => sql`t.source_type = ${type}`)}
      AND ${ifGiven(filter.workflow_run_id, (id) => sql`t.workflow_run_id = ${id}`)}
      AND ${ifGiven(filter.prefix, (start) => sql`t.event_key >= ${start}`)}
      AND ${ifGiven(end, (key) => sql`t.event_key < ${key}`)}
      AND ${ifGiven(expires_after ?? expires_before, () => sql`t.finished_at IS NULL AND t.expires_at IS NOT NULL`)}
      AND ${ifGiven(expires_after, (time) => sql`t.expires_at >= ${time}::timestamptz`)}
      AND ${ifGiven(expires_before, (time) => sql`t.expires_at < ${time}::timestamptz`)}`;
}

async function newestFirst(db: Queryable, condition: Statement, page: PageRequest): Promise<Page<EventTrigger>> {
  const rows = await db.query<EventTrigger>(sql`
    SELECT ${columns} FROM event_triggers t WHERE ${condition} AND ${olderThan("events", page)}
    ORDER BY t.id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("events", page, rows);
}

async function byKey(db: Queryable, condition: Statement, page: PageRequest): Promise<Page<EventTrigger>> {
  const after = inTwo(positionOf("events by key", page, /^trg_[0-9a-z]{26} \P{Cc}+$/u));
  const rows = await db.query<EventTrigger>(sql`
    SELECT ${columns} FROM event_triggers t
    WHERE ${condition} AND ${ifGiven(after, ([id, key]) => sql`(t.event_key, t.id) > (${key}, ${id})`)}
    ORDER BY t.event_key, t.id LIMIT ${fetchLimit(page)}`);
  return cutPage("events by key", page, rows, (row) => `${row.id} ${row.event_key}`);
}

async function byDeadline(db: Queryable, condition: Statement, page: PageRequest): Promise<Page<EventTrigger>> {
  const after = inTwo(positionOf("events by deadline", page, timeAnd(/^trg_[0-9a-z]{26}$/)));
  const rows = await db.query<EventTrigger>(sql`
    SELECT ${columns} FROM event_triggers t
    WHERE ${condition} AND ${ifGiven(after, ([time, id]) => sql`(t.expires_at, t.id) > (${time}::timestamptz, ${id})`)}
    ORDER BY t.expires_at, t.id LIMIT ${fetchLimit(page)}`);
  return cutPage("events by deadline", page, rows, (row) => `${row.expires_at} ${row.id}`);
}

/** What stands before the first space, and behind it. */
function inTwo(position: string | undefined): readonly [string, string] | undefined {
  const at = position?.indexOf(" ") ?? -1;
  return position === undefined ? undefined : [position.slice(0, at), position.slice(at + 1)];
}
