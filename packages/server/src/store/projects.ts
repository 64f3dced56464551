import { cutPage, fetchLimit, type Page, type PageRequest, positionOf, timeAnd } from "./page.ts";
import { ifGiven, type Queryable, sql } from "./sql.ts";

export interface ProjectRow {
  readonly id: string;
  readonly org_id: string | null;
  readonly name: string;
  readonly signing_version: number;
  readonly default_environment_id: string;
  readonly created_at: string;
  readonly updated_at: string;
}

const columns = sql`id, org_id, name, signing_version, default_environment_id, created_at, updated_at`;

/** Undefined: the id is taken. */
export async function insert(
  tx: Queryable,
  project: { id: string; org_id: string | null; name: string; default_environment_id: string },
): Promise<ProjectRow | undefined> {
  const [row] = await tx.query<ProjectRow>(sql`
    INSERT INTO projects (id, org_id, name, default_environment_id)
    VALUES (${project.id}, ${project.org_id}, ${project.name}, ${project.default_environment_id})
    ON CONFLICT (id) DO NOTHING RETURNING ${columns}`);
  if (row) {
    await tx.query(sql`
      INSERT INTO environments (project_id, id, name) VALUES (${project.id}, ${project.default_environment_id}, 'default')`);
  }
  return row;
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

/** Every project there is, for what is done to each in turn. */
export async function ids(db: Queryable): Promise<string[]> {
  return (await db.query<{ id: string }>(sql`SELECT id FROM projects ORDER BY id`)).map(({ id }) => id);
}
