import type { UpdateProject } from "@strait/contract";
import { cutPage, fetchLimit, type Page, type PageRequest, positionOf, timeAnd } from "./page.ts";
import { ifGiven, type Queryable, sql } from "./sql.ts";

export interface ProjectRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string;
  readonly signing_version: number;
  readonly default_environment_id: string;
  /** Null: as many as they like. */
  readonly max_active_event_triggers: number | null;
  readonly max_buffered_events_per_key: number;
  readonly max_unread_messages_per_run: number;
  readonly created_at: string;
  readonly updated_at: string;
}

const columns = sql`id, org_id, name, signing_version, default_environment_id, max_active_event_triggers,
  max_buffered_events_per_key, max_unread_messages_per_run, created_at, updated_at`;

/** Undefined: the id is taken. */
export async function insert(
  tx: Queryable,
  project: Omit<ProjectRow, "signing_version" | "created_at" | "updated_at">,
): Promise<ProjectRow | undefined> {
  const [row] = await tx.query<ProjectRow>(sql`
    INSERT INTO projects (id, org_id, name, default_environment_id, max_active_event_triggers, max_buffered_events_per_key,
      max_unread_messages_per_run)
    VALUES (${project.id}, ${project.org_id}, ${project.name}, ${project.default_environment_id},
      ${project.max_active_event_triggers}, ${project.max_buffered_events_per_key}, ${project.max_unread_messages_per_run})
    ON CONFLICT (id) DO NOTHING RETURNING ${columns}`);
  if (row) {
    await tx.query(sql`
      INSERT INTO environments (project_id, id, name) VALUES (${project.id}, ${project.default_environment_id}, 'default')`);
  }
  return row;
}

/** Undefined: there is no such project. What is absent stays as it is. */
export async function update(db: Queryable, id: string, change: UpdateProject): Promise<ProjectRow | undefined> {
  const { name, max_active_event_triggers } = change;
  const [row] = await db.query<ProjectRow>(sql`
    UPDATE projects SET name = coalesce(${name ?? null}, name), updated_at = strait_now(),
      max_buffered_events_per_key = coalesce(${change.max_buffered_events_per_key ?? null}, max_buffered_events_per_key),
      max_unread_messages_per_run = coalesce(${change.max_unread_messages_per_run ?? null}, max_unread_messages_per_run),
      max_active_event_triggers = CASE WHEN ${max_active_event_triggers !== undefined}::boolean
        THEN ${max_active_event_triggers ?? null}::int4 ELSE max_active_event_triggers END
    WHERE id = ${id} RETURNING ${columns}`);
  return row;
}

/** How many waits a project may have open, and how many it has: hardly counted further. Null where there is no limit. */
export async function activeTriggers(
  db: Queryable,
  id: string,
): Promise<{ readonly limit: number; readonly active: number } | null> {
  const [row] = await db.query<{ limit: number; active: number }>(sql`
    SELECT p.max_active_event_triggers AS "limit", (
      SELECT count(*)::int4 FROM (
        SELECT FROM event_triggers t
        WHERE t.project_id = p.id AND t.status = 'waiting' AND t.trigger_type = 'event'
        LIMIT p.max_active_event_triggers) keyed) + (
      SELECT count(*)::int4 FROM (
        SELECT FROM event_triggers t
        WHERE t.project_id = p.id AND t.status = 'waiting' AND t.trigger_type IN ('inbox', 'group')
        LIMIT p.max_active_event_triggers) keyless) AS active
    FROM projects p WHERE p.id = ${id} AND p.max_active_event_triggers IS NOT NULL`);
  return row ?? null;
}

export async function find(db: Queryable, id: string): Promise<ProjectRow | undefined> {
  const [row] = await db.query<ProjectRow>(sql`SELECT ${columns} FROM projects WHERE id = ${id}`);
  return row;
}

/** Projects newest first. Their ids may be chosen by the caller, so the time comes first in the order. */
export async function list(db: Queryable, page: PageRequest): Promise<Page<ProjectRow>> {
  const after = positionOf("projects", page, timeAnd(/^[a-z0-9][a-z0-9_-]*$/))?.split(" ");
  const rows = await db.query<ProjectRow>(sql`
    SELECT ${columns} FROM projects
    WHERE ${ifGiven(after, ([createdAt, id]) => sql`(created_at, id) < (${createdAt}::timestamptz, ${id})`)}
    ORDER BY created_at DESC, id DESC LIMIT ${fetchLimit(page)}`);
  return cutPage("projects", page, rows, (row) => `${row.created_at} ${row.id}`);
}

export async function hasEnvironment(db: Queryable, projectId: string, id: string): Promise<boolean> {
  const rows = await db.query(sql`SELECT 1 FROM environments WHERE project_id = ${projectId} AND id = ${id}`);
  return rows.length > 0;
}

/** The ids of all projects, in their order: for what is done to each in turn. */
export async function* everyId(db: Queryable): AsyncGenerator<string, void, undefined> {
  for (let page = await idsAfter(db, ""); page.length > 0; page = await idsAfter(db, page.at(-1) ?? "")) yield* page;
}

const PAGE = 100;

async function idsAfter(db: Queryable, id: string): Promise<string[]> {
  const rows = await db.query<{ id: string }>(sql`SELECT id FROM projects WHERE id > ${id} ORDER BY id LIMIT ${PAGE}`);
  return rows.map((row) => row.id);
}
