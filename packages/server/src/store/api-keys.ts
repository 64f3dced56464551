import type { ApiKey, Scope } from "@strait/contract";
import { fetchLimit, olderThan, type Page, type PageRequest, toPage } from "./page.ts";
import { type Queryable, sql } from "./sql.ts";

const columns = sql`
  id, project_id, environment_id, name, key_prefix, scopes, expires_at, revoked_at, last_used_at, grace_expires_at, created_at`;

export interface NewApiKey {
  readonly project_id: string;
  readonly id: string;
  readonly environment_id: string;
  readonly name: string;
  readonly key_prefix: string;
  readonly key_hash: string;
  readonly scopes: readonly Scope[];
  readonly expires_in_days: number | null;
  /** Goes before `expires_in_days`. */
  readonly expires_at?: string | null;
}

export async function insert(db: Queryable, key: NewApiKey): Promise<ApiKey> {
  const [row] = await db.query<ApiKey>(sql`
    INSERT INTO api_keys (project_id, id, environment_id, name, key_prefix, key_hash, scopes, expires_at)
    VALUES (${key.project_id}, ${key.id}, ${key.environment_id}, ${key.name}, ${key.key_prefix}, ${key.key_hash},
      ${key.scopes},
      coalesce(${key.expires_at ?? null}::timestamptz, strait_now() + make_interval(days => ${key.expires_in_days}::int)))
    RETURNING ${columns}`);
  if (!row) throw new Error("an API key was not inserted");
  return row;
}

export interface KeyOwner {
  readonly id: string;
  readonly project_id: string;
  readonly environment_id: string;
  readonly scopes: readonly Scope[];
}

/** The owner of a key that is neither revoked, expired, nor rotated and past its grace. The hash is what tells the project. */
export async function findUsable(db: Queryable, keyHash: string): Promise<KeyOwner | undefined> {
  const [owner] = await db.query<KeyOwner>(sql`
    SELECT id, project_id, environment_id, scopes FROM api_keys
    WHERE key_hash = ${keyHash} AND revoked_at IS NULL
      AND (expires_at IS NULL OR expires_at > strait_now())
      AND (grace_expires_at IS NULL OR grace_expires_at > strait_now())`);
  return owner;
}

export async function markUsed(db: Queryable, keys: readonly KeyOwner[]): Promise<void> {
  await db.query(sql`
    UPDATE api_keys k SET last_used_at = strait_now()
    FROM unnest(${keys.map((key) => key.project_id)}::text[], ${keys.map((key) => key.id)}::text[]) AS i(project_id, id)
    WHERE k.project_id = i.project_id AND k.id = i.id`);
}

export async function list(db: Queryable, projectId: string, page: PageRequest): Promise<Page<ApiKey>> {
  const rows = await db.query<ApiKey>(sql`
    SELECT ${columns} FROM api_keys WHERE project_id = ${projectId} AND ${olderThan("api-keys", page)}
    ORDER BY id DESC LIMIT ${fetchLimit(page)}`);
  return toPage("api-keys", page, rows);
}

export async function lock(tx: Queryable, projectId: string, id: string): Promise<ApiKey | undefined> {
  const [row] = await tx.query<ApiKey>(sql`
    SELECT ${columns} FROM api_keys WHERE project_id = ${projectId} AND id = ${id} FOR NO KEY UPDATE`);
  return row;
}

export async function revoke(db: Queryable, projectId: string, id: string): Promise<ApiKey | undefined> {
  const [row] = await db.query<ApiKey>(sql`
    UPDATE api_keys SET revoked_at = coalesce(revoked_at, strait_now()) WHERE project_id = ${projectId} AND id = ${id}
    RETURNING ${columns}`);
  return row;
}

export async function endAfterGrace(tx: Queryable, projectId: string, id: string, minutes: number): Promise<void> {
  await tx.query(sql`
    UPDATE api_keys SET grace_expires_at = strait_now() + make_interval(mins => ${minutes}::int)
    WHERE project_id = ${projectId} AND id = ${id}`);
}
