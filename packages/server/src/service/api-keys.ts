import { hash, randomBytes } from "node:crypto";
import type { ApiKey, CreatedApiKey, Scope } from "@strait/contract";
import { conflict, forbidden, notFound, validationError } from "../domain/errors.ts";
import * as apiKeys from "../store/api-keys.ts";
import * as projects from "../store/projects.ts";
import type { Queryable } from "../store/sql.ts";
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
  { db, clock }: Context,
  caller: Caller,
  input: {
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly environment_id?: string;
    readonly expires_in_days?: number;
  },
): Promise<CreatedApiKey> {
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
  return insertKey(db, clock.newId("key"), caller.projectId, { name, scopes, environment_id, expires_in_days });
}

/** Nobody hands out more than they have. */
function refuseMoreThanOwn(caller: Caller, scopes: readonly Scope[]): void {
  for (const scope of scopes) {
    if (!caller.scopes.includes("*") && !caller.scopes.includes(scope)) throw forbidden(scope);
  }
}

/** Writes a key; `key` is given only for one that somebody already holds. */
export async function insertKey(
  db: Queryable,
  id: string,
  projectId: string,
  { expires_in_days, ...rest }: NewKey,
  key: string = `strait_${randomBytes(32).toString("hex")}`,
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
  { db, clock }: Context,
  caller: Caller,
  id: string,
  graceMinutes: number,
): Promise<CreatedApiKey> {
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
    return insertKey(tx, clock.newId("key"), caller.projectId, successor);
  });
}

/** Ends a key at once; doing it again changes nothing. @throws {StraitError} `not_found` */
export async function revokeApiKey({ db }: Context, caller: Caller, id: string): Promise<ApiKey> {
  const revoked = await apiKeys.revoke(db, caller.projectId, id);
  if (!revoked) throw notFound("API key", id);
  return revoked;
}
