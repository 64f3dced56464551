import { hash, randomBytes } from "node:crypto";
import type { ApiKey, CreatedApiKey, Scope } from "@strait/contract";
import { conflict, notFound, validationError } from "../domain/errors.ts";
import * as apiKeys from "../store/api-keys.ts";
import * as projects from "../store/projects.ts";
import type { Queryable } from "../store/sql.ts";
import { API_KEY_PREFIX, requireScope } from "../wire/credentials.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";

/** Shown in lists, so that people can tell keys apart: `strait_` and the first characters. */
const PREFIX_LENGTH = 12;

export interface NewKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly environment_id: string;
  readonly expires_in_days: number | null;
  /** Instead of a number of days. */
  readonly expires_at?: string | null;
}

/**
 * Makes an API key for a project. The key itself is in the answer and nowhere else: only its hash is stored.
 *
 * @throws {StraitError} `forbidden` when the caller asks for a scope that it has not; `validation_error` for an unknown
 *   environment.
 */
export async function createApiKey(
  context: Context,
  caller: Caller,
  input: {
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly environment_id?: string;
    readonly expires_in_days?: number;
  },
): Promise<CreatedApiKey> {
  const { db, clock } = context;
  refuseMoreThanOwn(caller, input.scopes);
  const environment_id = input.environment_id ?? caller.environmentId;
  if (!(await projects.hasEnvironment(db, caller.projectId, environment_id))) {
    throw validationError([
      {
        field: "/environment_id",
        rule: "knownEnvironment",
        fix: "use an environment of this project, or leave it out",
      },
    ]);
  }
  const { name, scopes, expires_in_days = null } = input;
  return db.transaction(async (tx) => {
    const key = { name, scopes, environment_id, expires_in_days };
    const made = await insertKey(tx, clock.newId("key"), caller.projectId, key);
    await audit(context, tx, caller, "api_key.create", [made.id], described(made));
    return made;
  });
}

/** What an audit event says of a key. */
export const described = ({ name, scopes, environment_id, expires_at }: ApiKey): object => ({
  name,
  scopes,
  environment_id,
  expires_at,
});

/** Nobody hands out more than they have. */
function refuseMoreThanOwn(caller: Caller, scopes: readonly Scope[]): void {
  for (const scope of scopes) requireScope(caller.scopes, scope);
}

/** Writes a key; `key` is given only for one that somebody already holds. */
export async function insertKey(
  db: Queryable,
  id: string,
  projectId: string,
  { expires_in_days, ...rest }: NewKey,
  key: string = `${API_KEY_PREFIX}${randomBytes(32).toString("hex")}`,
): Promise<CreatedApiKey> {
  const row = await apiKeys.insert(db, {
    ...rest,
    project_id: projectId,
    id,
    key_prefix: key.slice(0, PREFIX_LENGTH),
    key_hash: hash("sha256", key),
    expires_in_days,
  });
  return { ...row, key };
}

/**
 * Replaces a key by a new one with the same scopes and expiry; the old one works on for the grace period.
 *
 * @throws {StraitError} `not_found`; `forbidden` when it may do more than the caller; `conflict` when the key is revoked or
 *   expired, or rotated already.
 */
export async function rotateApiKey(
  context: Context,
  caller: Caller,
  id: string,
  graceMinutes: number,
): Promise<CreatedApiKey> {
  const { db, clock } = context;
  return db.transaction(async (tx) => {
    const old = await apiKeys.lock(tx, caller.projectId, id);
    if (!old) throw notFound("API key", id);
    refuseMoreThanOwn(caller, old.scopes);
    if (old.revoked_at !== null) throw conflict("a revoked API key cannot be rotated; create a new one");
    if (old.expires_at !== null && Date.parse(old.expires_at) <= clock.nowMs())
      throw conflict("an expired API key cannot be rotated; create a new one");
    if (old.grace_expires_at !== null) throw conflict("this API key has been rotated; rotate its successor instead");
    await apiKeys.endAfterGrace(tx, caller.projectId, id, graceMinutes);
    const { name, scopes, environment_id, expires_at } = old;
    const successor = { name, scopes, environment_id, expires_in_days: null, expires_at };
    const made = await insertKey(tx, clock.newId("key"), caller.projectId, successor);
    const rotation = { successor_id: made.id, grace_period_minutes: graceMinutes };
    await audit(context, tx, caller, "api_key.rotate", [id], rotation);
    return made;
  });
}

/** Ends a key at once; doing it again changes nothing. @throws {StraitError} `not_found` */
export async function revokeApiKey(context: Context, caller: Caller, id: string): Promise<ApiKey> {
  return context.db.transaction(async (tx) => {
    const key = await apiKeys.lock(tx, caller.projectId, id);
    if (!key) throw notFound("API key", id);
    if (key.revoked_at !== null) return key;
    await audit(context, tx, caller, "api_key.revoke", [id], { name: key.name });
    return (await apiKeys.revoke(tx, caller.projectId, id)) ?? key;
  });
}
