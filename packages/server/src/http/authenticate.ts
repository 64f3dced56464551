import { createHash, hash, timingSafeEqual } from "node:crypto";
import type { Scope } from "@strait/contract";
import { forbidden, foreignRunToken, notFound, otherStream, type StraitError, unauthorized } from "../domain/errors.ts";
import type { Caller, Context } from "../service/context.ts";
import type { StreamTokenClaims } from "../service/create-stream-token.ts";
import type { RunTokens } from "../service/run-token.ts";
import type { SignedTokens } from "../service/signed-token.ts";
import type { RunCaller } from "../service/wait-for-event.ts";
import * as apiKeys from "../store/api-keys.ts";
import * as projects from "../store/projects.ts";
import { credentialOf, type GivenCredentials, lacksScope, projectNamed } from "../wire/credentials.ts";

/** What the operation table says about who may call. */
export interface Access {
  readonly auth: readonly string[];
  readonly scope: string | null;
}

export interface Credentials extends GivenCredentials {
  readonly projectId: string | undefined;
  /** Of the request that brings them. */
  readonly requestId: string;
}

/** Who calls, with credentials that are good. */
export interface Identity {
  readonly caller: Caller | RunCaller;
  /** Why the caller may not do what it asks for; null lets it. */
  readonly refusal: StraitError | null;
}

export interface Authenticator {
  /** @throws {StraitError} `unauthorized`, `token_expired`; `not_found` for a project that the internal secret names. */
  authenticate(access: Access, credentials: Credentials, path: Record<string, string>): Promise<Identity>;
  /** Forgets what is cached about keys, after one was revoked. */
  forget(): void;
}

/** How long a revoked key may still work in another process; in this one it ends at once. */
const CACHED_MS = 5_000;
const MAX_CACHED = 10_000;
/** `last_used_at` is written this often, for all keys at once. */
const MARK_USED_MS = 10_000;

/** A system caller of a project: the internal secret speaks for every project that it names. */
const INTERNAL: readonly Scope[] = ["*"];

/** Compares in a time that tells nothing of where they differ. */
export function isSameSecret(given: string, secret: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}

const allowed = (caller: Caller): Identity => ({ caller, refusal: null });

export function authenticator(
  { db }: Pick<Context, "db">,
  tokens: RunTokens,
  streamTokens: SignedTokens<StreamTokenClaims>,
  internalSecret: string,
  onError: (error: unknown) => void,
): Authenticator {
  const cache = new Map<string, { owner: Promise<apiKeys.KeyOwner | undefined>; until: number }>();
  const used = new Map<string, apiKeys.KeyOwner>();
  let markedAt = 0;

  function ownerOf(key: string): Promise<apiKeys.KeyOwner | undefined> {
    const name = hash("sha256", key);
    const now = Date.now();
    const cached = cache.get(name);
    if (cached && cached.until > now) return cached.owner;
    if (cache.size >= MAX_CACHED) cache.clear();
    const owner = apiKeys.findUsable(db, name);
    cache.set(name, { owner, until: now + CACHED_MS });
    owner.then((found) => found === undefined && cache.delete(name)).catch(() => cache.delete(name));
    return owner;
  }

  function markUsed(owner: apiKeys.KeyOwner): void {
    used.set(owner.id, owner);
    const now = Date.now();
    if (now - markedAt < MARK_USED_MS) return;
    markedAt = now;
    const owners = [...used.values()];
    used.clear();
    apiKeys.markUsed(db, owners).catch(onError);
  }

  async function byApiKey(key: string, scope: string | null, requestId: string): Promise<Identity> {
    const owner = await ownerOf(key);
    if (!owner) throw unauthorized();
    const refusal = lacksScope(owner.scopes, scope) ? forbidden(scope) : null;
    if (refusal === null) markUsed(owner);
    const { project_id, environment_id, scopes, id } = owner;
    return {
      caller: {
        projectId: project_id,
        environmentId: environment_id,
        scopes,
        actor: `apikey:${id}`,
        channel: "api",
        requestId,
      },
      refusal,
    };
  }

  async function byInternalSecret(
    given: string,
    projectId: string | undefined,
    needsProject: boolean,
    requestId: string,
  ): Promise<Caller> {
    if (!isSameSecret(given, internalSecret))
      throw unauthorized("X-Internal-Secret is not this server's INTERNAL_SECRET");
    const operator = { scopes: INTERNAL, actor: "internal", channel: "api", requestId } as const;
    if (!needsProject) return { ...operator, projectId: "", environmentId: "" };
    const named = projectNamed(projectId);
    const project = await projects.find(db, named);
    if (!project) throw notFound("project", named);
    return { ...operator, projectId: project.id, environmentId: project.default_environment_id };
  }

  function byRunToken(token: string, askedFor: string | undefined): Identity {
    const { projectId, runId, dispatchSeq } = tokens.verify(token);
    const refusal = runId === askedFor ? null : foreignRunToken();
    return { caller: { projectId, runId, dispatchSeq, actor: `run:${runId}` }, refusal };
  }

  function byStreamToken(
    token: string,
    scope: string | null,
    path: Record<string, string>,
    requestId: string,
  ): Identity {
    const { sub, pid, env, par, val } = streamTokens.verify(token);
    // Keys are stored in NFC; ids are ASCII.
    const refusal = path[par]?.normalize("NFC") === val ? null : otherStream(val);
    const scopes = [scope as Scope];
    return { caller: { projectId: pid, environmentId: env, scopes, actor: sub, channel: "api", requestId }, refusal };
  }

  return {
    async authenticate({ auth, scope }, credentials, path) {
      const { projectId, requestId } = credentials;
      const credential = credentialOf(auth, credentials);
      switch (credential.kind) {
        case "none":
          return allowed({
            projectId: "",
            environmentId: "",
            scopes: [],
            actor: "anonymous",
            channel: "api",
            requestId,
          });
        case "runToken":
          return byRunToken(credential.token, path.runID);
        case "internalSecret":
          return allowed(await byInternalSecret(credential.secret, projectId, credential.needsProject, requestId));
        case "streamToken":
          return byStreamToken(credential.token, scope, path, requestId);
        case "apiKey":
          return byApiKey(credential.token, scope, requestId);
      }
    },
    forget: () => cache.clear(),
  };
}
