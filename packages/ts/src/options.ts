import { type CheckedAuth, isToken, type TokenProvider } from "./credentials.ts";
import type { Middleware } from "./middleware.ts";
import type { AuthType } from "./runtime.ts";
import type { AnswerValidator } from "./validation.ts";

/** An API key (`strait_...`), for `/v1`. */
export interface BearerAuth {
  readonly type: "bearer";
  readonly token: string | TokenProvider;
}

/** The token that a run was dispatched with, for `/sdk/v1`. It is never refreshed: another dispatch has another one. */
export interface RunTokenAuth {
  readonly type: "runToken";
  readonly token: string;
}

/** The server's internal secret, for `/v1/projects` and, on behalf of a project, for `/v1`. */
export interface InternalSecretAuth {
  readonly type: "internalSecret";
  readonly token: string | TokenProvider;
  /** The project to act for, sent as `X-Project-Id`. Only `/v1/projects` does without. */
  readonly projectId?: string | undefined;
}

/** What the client needs of `fetch`. It must honor `init.signal`, or time limits and aborts have no effect. */
export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

/** The `init` that a `Fetch` is called with: a plain object, its header names in lower case. */
export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | null;
  readonly redirect: "manual";
  readonly signal: AbortSignal;
}

/** How to reach a server, and as whom. */
export interface ClientOptions<Type extends AuthType = AuthType> {
  /** Where the server is, such as `https://strait.dev` or, below a path, `https://example.com/strait`. */
  readonly baseUrl: string;
  /** The credential. Its `type` decides which operations the client has. */
  readonly auth: (BearerAuth | RunTokenAuth | InternalSecretAuth) & { readonly type: Type };
  /** Sent with every request; the credential and the headers of a call win over them. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Attempts after the first one. Default 2; 0 means none. */
  readonly retries?: number | undefined;
  /** Milliseconds for each attempt, from connecting to the last byte of the answer. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds for all attempts of a call and the waits between them. Default: no limit. */
  readonly deadlineMs?: number | undefined;
  /** When the server asks for a longer wait than this, the call fails at once. Default 60,000 milliseconds. */
  readonly maxRetryAfterMs?: number | undefined;
  /** Stand around each attempt, the first one outermost. Default: none, which costs nothing. */
  readonly middleware?: readonly Middleware[] | undefined;
  /** Holds answers against the contract: `createValidator` of `@strait/ts/schemas` makes one. Default: none, nobody looks. */
  readonly validator?: AnswerValidator | undefined;
  /** Replaces the global `fetch`, which is otherwise looked up at each request. */
  readonly fetch?: Fetch | undefined;
}

/** `ClientOptions`, checked and with the defaults filled in. */
export interface Config {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly auth: CheckedAuth;
  /** Sent with every request; names in lower case, as everywhere in the core. */
  readonly headers: Readonly<Record<string, string>>;
  readonly retries: number;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly maxRetryAfterMs: number;
  readonly middleware: readonly Middleware[];
  readonly validator: AnswerValidator | undefined;
  readonly fetch: Fetch;
}

/** Makes the error for a value that cannot be taken; `rule` ends the sentence that `field` begins. */
export type Refuse = (field: string, rule: string) => Error;

// Timers of JavaScript fire at once when they are asked to wait longer than this, 24.8 days.
const MAX_TIMER_MS = 2_147_483_647;

export type Limit = "retries" | "timeoutMs" | "deadlineMs" | "maxRetryAfterMs" | "stallMs" | "maxEventBytes";

/**
 * Checks the options of a client once, so that no call has to.
 *
 * @throws {TypeError} Naming the option and the fix. It never repeats a value: two options may have been mixed up, and
 *   one of them is a secret.
 */
export function toConfig(options: ClientOptions): Config {
  // A caller without a type checker may pass anything, even nothing.
  const given = Object(options) as ClientOptions;
  const { validator, middleware = [], fetch = (url, init) => globalThis.fetch(url, init) } = given;
  if (!isFunction(fetch)) throw refuse("fetch", "must be a function");
  if (!Array.isArray(middleware) || !middleware.every(isFunction)) {
    throw refuse("middleware", "must be an array of functions");
  }
  if (validator !== undefined && !isFunction(validator)) throw refuse("validator", "must be made by createValidator");
  const limit = (name: "retries" | "timeoutMs" | "deadlineMs" | "maxRetryAfterMs", fallback: number): number =>
    checkedLimit(refuse, name, given[name], fallback);
  return {
    baseUrl: checkedBaseUrl(given.baseUrl),
    auth: checkedAuth(given.auth),
    headers: addHeaders(refuse, { accept: "application/json" }, given.headers),
    retries: limit("retries", 2),
    timeoutMs: limit("timeoutMs", 30_000),
    deadlineMs: limit("deadlineMs", Number.POSITIVE_INFINITY),
    maxRetryAfterMs: limit("maxRetryAfterMs", 60_000),
    middleware,
    validator,
    fetch,
  };
}

/** The value of a limit, or `fallback` where there is none. Some fall back to no limit, which may be written out. */
export function checkedLimit(refuse: Refuse, name: Limit, value: number | undefined, fallback: number): number {
  if (value === undefined || value === fallback) return fallback;
  const least = name === "retries" || name === "maxRetryAfterMs" ? 0 : 1;
  if (typeof value === "number" && value >= least && value <= MAX_TIMER_MS) {
    // Time has fractions; attempts have none.
    if (name !== "retries" || value % 1 === 0) return value;
  }
  throw refuse(name, `must be a ${name === "retries" ? "whole " : ""}number from ${least} to ${MAX_TIMER_MS}`);
}

/** Adds headers to others, in lower case; what is undefined or null is left out. */
export function addHeaders(
  refuse: Refuse,
  headers: Record<string, string>,
  added: Readonly<Record<string, unknown>> | undefined,
): Record<string, string> {
  if (typeof added === "string") throw refuse("headers", "must be an object of header names and values");
  for (const name in added) {
    const value = added[name];
    if (value === undefined || value === null) continue;
    if (!/^[!#$%&'*+.^_`|~\w-]+:[\t\x20-\x7e\x80-\xff]*$/.test(`${name}:${value}`)) {
      throw refuse(`headers["${name}"]`, "must be a valid name with a Latin-1 value without line breaks");
    }
    headers[name.toLowerCase()] = `${value}`;
  }
  return headers;
}

function checkedBaseUrl(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (!url || !/^https?:\/\/[^/?#@]+\/[^?#]*$/.test(url.href)) {
    throw refuse("baseUrl", 'must be a full URL such as "https://strait.dev", without user, ? and #');
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function checkedAuth(auth: ClientOptions["auth"]): CheckedAuth {
  const { type, token, projectId } = Object(auth) as CheckedAuth;
  const types = ["bearer", "runToken", "internalSecret"];
  if (!types.includes(type)) throw refuse("auth.type", `must be one of ${types}`);
  if (projectId !== undefined) checkCredential("projectId", projectId);
  if (!isFunction(token) || type === "runToken") checkCredential("token", token);
  return { type, token, projectId };
}

function checkCredential(name: string, value: unknown): void {
  if (isToken(value)) return;
  throw refuse(`auth.${name}`, "must be ASCII text without white space; is it set in the environment?");
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

function refuse(option: string, rule: string): TypeError {
  return new TypeError(`createClient: ${option} ${rule}`);
}
