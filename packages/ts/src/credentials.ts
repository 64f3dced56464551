import { stripToken } from "./redact.ts";
import type { AuthType } from "./runtime.ts";

// Something shorter is a placeholder of a test or an example, and taking it out would garble every message.
const MIN_SECRET_LENGTH = 8;

/**
 * Gives the token of a client. It is asked once, before the first request, and again when a request is answered 401;
 * calls that run at the same time share what it gives.
 *
 * @param request - `refresh` is true after a 401: what was given before is not accepted any more.
 */
export type TokenProvider = (request: { readonly refresh: boolean }) => string | Promise<string>;

/** What a client identifies itself with, checked. */
export interface CheckedAuth {
  readonly type: AuthType;
  readonly token: string | TokenProvider;
  readonly projectId: string | undefined;
}

/** The credential of a client over its lifetime. */
export interface Credentials {
  /** Whether a 401 is worth another request with another token. */
  readonly canRefresh: boolean;
  /**
   * The token to send.
   *
   * @param rejected - The token that was answered 401; another one is fetched unless that has happened meanwhile.
   */
  token(rejected?: string): Promise<string>;
  headers(token: string): Record<string, string>;
  /** Takes every token that the client has had out of a text. */
  redact(text: string): string;
}

export function createCredentials({ type, token, projectId }: CheckedAuth): Credentials {
  const secrets = new Set<string>();
  const isFixed = typeof token === "string";
  const provide: TokenProvider = isFixed ? () => token : token;
  let current: string | undefined;
  let pending: Promise<string> | undefined;

  async function fetchToken(refresh: boolean): Promise<string> {
    const given = await provide({ refresh });
    if (!isToken(given)) throw new TypeError("its provider gave none");
    if (given.length >= MIN_SECRET_LENGTH) secrets.add(given);
    current = given;
    return given;
  }

  return {
    canRefresh: !isFixed,
    token(rejected) {
      if (rejected !== undefined && rejected === current) pending = current = undefined;
      pending ??= fetchToken(rejected !== undefined).catch((error: unknown) => {
        // The next call asks again.
        pending = undefined;
        throw error;
      });
      return pending;
    },
    headers(value) {
      if (type !== "internalSecret") return { authorization: `Bearer ${value}` };
      return { "x-internal-secret": value, ...(projectId !== undefined && { "x-project-id": projectId }) };
    },
    redact(text) {
      let clean = stripToken(text);
      for (const secret of secrets) clean = clean.replaceAll(secret, "[redacted]");
      return clean;
    },
  };
}

/** Whether a header can carry the value as a credential. */
export function isToken(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
}
