import type { Scope } from "@strait/contract";
import { forbidden, type StraitError, unauthorized } from "../domain/errors.ts";

/** What a request brings that may tell who sends it. */
export interface GivenCredentials {
  readonly authorization: string | undefined;
  readonly internalSecret: string | undefined;
  /** `?token=` of a stream, which a browser's EventSource needs. */
  readonly queryToken: string | undefined;
}

/** The credential that counts, not yet verified. */
export type Credential =
  | { readonly kind: "none" }
  | { readonly kind: "runToken" | "streamToken" | "apiKey"; readonly token: string }
  | { readonly kind: "internalSecret"; readonly secret: string; readonly needsProject: boolean };

const BEARER = /^Bearer ([\x21-\x7e]+)$/i;
const NONE: Credential = { kind: "none" };

const sentAs: Readonly<Record<string, string>> = {
  bearer: "an API key as `Authorization: Bearer`",
  internalSecret: "INTERNAL_SECRET in X-Internal-Secret",
  runToken: "the run token of the dispatch (its X-Run-Token) as `Authorization: Bearer`",
};

/** Tokens of runs and streams are JWTs, which have dots; no API key has one. */
export const isJwt = (token: string): boolean => token.includes(".");

/** How every API key begins. */
export const API_KEY_PREFIX = "strait_";

/** Whether a text may be a secret that stands in the wrong place: an API key, or a token, which is a JWT. */
export const mayBeSecret = (text: string): boolean => text.includes(API_KEY_PREFIX) || text.startsWith("eyJ");

/**
 * Tells which credential of a request counts.
 *
 * @param accepted - The kinds that the operation takes, as the operation table names them; with none, everybody may call.
 * @throws {StraitError} `unauthorized` when it brings none of them.
 */
export function credentialOf(accepted: readonly string[], given: GivenCredentials): Credential {
  if (accepted.length === 0) return NONE;
  const { authorization, internalSecret, queryToken } = given;
  const token = authorization === undefined ? queryToken : BEARER.exec(authorization)?.[1];
  const takesKeys = accepted.includes("bearer");
  if (token !== undefined && accepted.includes("runToken")) return { kind: "runToken", token };
  if (internalSecret !== undefined && accepted.includes("internalSecret")) {
    return { kind: "internalSecret", secret: internalSecret, needsProject: takesKeys };
  }
  if (token === undefined || !takesKeys) throw otherCredentials(accepted);
  return { kind: authorization === undefined && isJwt(token) ? "streamToken" : "apiKey", token };
}

/**
 * @param projectId - The request's `X-Project-Id`.
 * @throws {StraitError} `unauthorized` when it names none.
 */
export function projectNamed(projectId: string | undefined): string {
  if (!projectId) throw unauthorized("the internal secret speaks for a project; name its id in X-Project-Id");
  return projectId;
}

/** Whether an API key with the scopes `held` may not do what needs `scope`; null needs none. */
export function lacksScope(held: readonly Scope[], scope: string | null): scope is Scope {
  return scope !== null && !held.includes("*") && !held.includes(scope as Scope);
}

/** @throws {StraitError} `forbidden` when an API key lacks the scope of an operation. */
export function requireScope(held: readonly Scope[], scope: string | null): void {
  if (lacksScope(held, scope)) throw forbidden(scope);
}

function otherCredentials(accepted: readonly string[]): StraitError {
  const how = accepted.map((kind) => sentAs[kind]).join(", or ");
  return unauthorized(`the credentials are missing or of another kind; send ${how}`);
}
