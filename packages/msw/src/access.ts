import type { OperationInfo, Scope } from "@strait/contract";
import {
  credentialOf,
  foreignRunToken,
  isJwt,
  otherStream,
  projectNamed,
  queryOf,
  requireScope,
  unauthorized,
} from "@strait/server/pure";

/** Who calls, as the credentials tell. */
export interface Caller {
  /** As the server writes it down: `apikey:key_…`, `internal`, `run:run_…`, `anonymous`. */
  readonly actor: string;
  /** What else the credentials are good for. */
  readonly scopes: readonly Scope[];
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

const EVERYTHING: readonly Scope[] = ["*"];

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
  const header = (name: string): string | undefined => request.headers.get(name) ?? undefined;
  const { token: queryToken } = queryOf(request.url);
  const credential = credentialOf(auth, {
    authorization: header("authorization"),
    internalSecret: header("x-internal-secret"),
    queryToken: media === "sse" && typeof queryToken === "string" ? queryToken : undefined,
  });
  switch (credential.kind) {
    case "none":
      return { actor: "anonymous", scopes: [] };
    case "runToken":
      return byRunToken(credential.token, path.runID, keyring);
    case "internalSecret":
      if (credential.needsProject) projectNamed(header("x-project-id"));
      return { actor: "internal", scopes: EVERYTHING };
    case "streamToken":
      return byStreamToken(credential.token, path, keyring);
    case "apiKey":
      return byApiKey(credential.token, scope, keyring);
  }
}

function byApiKey(key: string, scope: string | null, keyring: Keyring): Caller {
  const owner = keyring.apiKey(key);
  if (!owner) throw unauthorized();
  requireScope(owner.scopes, scope);
  return owner;
}

function byRunToken(token: string, runId = "", keyring: Keyring): Caller {
  const claims = keyring.runToken(token);
  if (!claims) throw unauthorized();
  if (claims.runId !== ANY && claims.runId !== runId) throw foreignRunToken();
  return { actor: `run:${runId}`, scopes: [], dispatchSeq: claims.dispatchSeq };
}

function byStreamToken(token: string, path: Readonly<Record<string, string>>, keyring: Keyring): Caller {
  const subject = keyring.streamToken(token);
  if (subject === undefined) throw unauthorized();
  const isOfStream = subject === ANY || Object.values(path).some((value) => value.normalize("NFC") === subject);
  if (!isOfStream) throw otherStream(subject);
  return { actor: "stream", scopes: [] };
}
