import type { OperationInfo, Scope } from "@strait/contract";
import { forbidden, foreignRunToken, otherCredentials, otherStream, unauthorized } from "@strait/server/pure";

/** Who calls, as the credentials tell. */
export interface Caller {
  /** As the server writes it down: `apikey:key_…`, `internal`, `run:run_…`, `anonymous`. */
  readonly actor: string;
  /** Of a run's own code: which dispatch of it calls. */
  readonly dispatchSeq?: number;
}

/** What credentials are good for; undefined: nothing. */
export interface Keyring {
  apiKey(key: string): { readonly actor: string; readonly scopes: readonly Scope[] } | undefined;
  runToken(token: string): { readonly runId: string; readonly dispatchSeq: number } | undefined;
  /** The key or the id whose stream it opens. */
  streamToken(token: string): string | undefined;
}

const BEARER = /^Bearer ([\x21-\x7e]+)$/i;
const EVERYTHING: readonly Scope[] = ["*"];

/** Tokens of runs and streams are JWTs on a server, and API keys have no dots. */
const isJwt = (token: string): boolean => token.includes(".");

/** Takes any credentials of the right kind. */
export const anyCredentials: Keyring = {
  apiKey: (key) => (isJwt(key) ? undefined : { actor: "apikey:key_01k0000000e0080000000000ex", scopes: EVERYTHING }),
  runToken: (token) => (token.startsWith("strait_") ? undefined : { runId: ANY, dispatchSeq: 1 }),
  streamToken: () => ANY,
};

/** What a token of `anyCredentials` is for. */
const ANY = "*";

/**
 * Finds out who calls, or refuses.
 *
 * @throws {StraitError} `unauthorized`, `forbidden`.
 */
export function callerOf(
  { auth, scope, media }: OperationInfo,
  request: Request,
  path: Readonly<Record<string, string>>,
  keyring: Keyring,
): Caller {
  if (auth.length === 0) return { actor: "anonymous" };
  const authorization = request.headers.get("authorization");
  const queryToken = media === "sse" ? new URL(request.url).searchParams.get("token") : null;
  const token = authorization === null ? queryToken : BEARER.exec(authorization)?.[1];
  if (token != null && auth.includes("runToken")) return byRunToken(token, path.runID, keyring);
  if (auth.includes("internalSecret") && request.headers.has("x-internal-secret")) {
    if (!auth.includes("bearer") || request.headers.has("x-project-id")) return { actor: "internal" };
    throw unauthorized("the internal secret speaks for a project; name it in X-Project-Id");
  }
  if (token == null || !auth.includes("bearer")) {
    throw otherCredentials(auth);
  }
  if (authorization === null && isJwt(token)) return byStreamToken(token, path, keyring);
  const owner = keyring.apiKey(token);
  if (!owner) throw unauthorized();
  const isAllowed = scope === null || owner.scopes.some((held) => held === "*" || held === scope);
  if (!isAllowed) throw forbidden(scope as Scope);
  return { actor: owner.actor };
}

function byRunToken(token: string, runId = "", keyring: Keyring): Caller {
  const claims = keyring.runToken(token);
  if (!claims) throw unauthorized();
  if (claims.runId !== ANY && claims.runId !== runId) throw foreignRunToken();
  return { actor: `run:${runId}`, dispatchSeq: claims.dispatchSeq };
}

function byStreamToken(token: string, path: Readonly<Record<string, string>>, keyring: Keyring): Caller {
  const subject = keyring.streamToken(token);
  if (subject === undefined) throw unauthorized();
  const isOfStream = subject === ANY || Object.values(path).some((value) => value.normalize("NFC") === subject);
  if (!isOfStream) throw otherStream(subject);
  return { actor: "stream" };
}
