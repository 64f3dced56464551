import { type CheckedAuth, isToken, type TokenProvider } from "./credentials.ts";
import type { Middleware } from "./middleware.ts";
import type { AuthType } from "./runtime.ts";
import type { AnswerValidator } from "./validation.ts";

/** An API key (`strait_…`), for `/v1`. */
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
  readonly body?: string;
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

// Timers of JavaScript fire at once when they are asked to wait longer than this, 24.8 days.
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Checks the options of a client once, so that no call has to.
 *
 * @throws {TypeError} Naming the option and the fix. It never repeats a value: two options may have been mixed up, and
 *   one of them is a secret.
 */
export function toConfig(options: ClientOptions): Config {
  if (!isRecord(options)) throw fault("options", "must be an object with baseUrl and auth");
  const { retries = 2, timeoutMs = 30_000, maxRetryAfterMs = 60_000, deadlineMs } = options;
  for (const [name, value] of Object.entries({ retries, timeoutMs, maxRetryAfterMs, deadlineMs })) {
    const wrong = value === undefined ? undefined : limitFault(name, value);
    if (wrong) throw fault(name, wrong);
  }
  const { fetch, middleware = [], validator } = options;
  if (fetch !== undefined && typeof fetch !== "function") throw fault("fetch", "must be a function");
  if (!Array.isArray(middleware) || middleware.some((item) => typeof item !== "function")) {
    throw fault("middleware", "must be an array of functions");
  }
  return {
    baseUrl: checkedBaseUrl(options.baseUrl),
    auth: checkedAuth(options.auth),
    headers: { accept: "application/json", ...checkedHeaders(options.headers) },
    retries,
    timeoutMs,
    deadlineMs: deadlineMs ?? Number.POSITIVE_INFINITY,
    maxRetryAfterMs,
    middleware,
    validator,
    fetch: fetch ?? ((url, init) => globalThis.fetch(url, init)),
  };
}

/** What is wrong with the value of a limit, as the end of a sentence; undefined when nothing is. */
export function limitFault(name: string, value: unknown): string | undefined {
  if (name === "retries") {
    return Number.isSafeInteger(value) && Number(value) >= 0 ? undefined : "must be a whole number, 0 or more";
  }
  const least = name === "maxRetryAfterMs" ? 0 : 1;
  if (typeof value === "number" && value >= least && value <= MAX_TIMER_MS) return undefined;
  return `must be a number of milliseconds from ${least} to ${MAX_TIMER_MS}`;
}

/** What is wrong with a header, as the end of a sentence; undefined when nothing is. */
export function headerFault(name: string, value: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) return "is not a header name";
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    ? undefined
    : "holds a line break or a character that headers cannot carry";
}

function checkedHeaders(headers: unknown): Record<string, string> {
  if (headers === undefined) return {};
  if (!isRecord(headers)) throw fault("headers", "must be an object of header names and values");
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const wrong = typeof value === "string" ? headerFault(name, value) : "must be a string";
    if (wrong) throw fault(`headers["${name}"]`, wrong);
    checked[name.toLowerCase()] = String(value);
  }
  return checked;
}

function checkedBaseUrl(baseUrl: unknown): string {
  if (typeof baseUrl !== "string" || baseUrl.trim() === "") {
    throw fault("baseUrl", 'is missing or empty; set it to where the server is, such as "https://strait.dev"');
  }
  if (!URL.canParse(baseUrl))
    throw fault("baseUrl", 'is not an absolute URL; write it in full, as in "https://strait.dev"');
  const url = new URL(baseUrl);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw fault("baseUrl", 'must start with "https://" or "http://"');
  }
  if (url.username || url.password) throw fault("baseUrl", "must not hold a user name or password; use auth instead");
  if (url.search || url.hash) throw fault("baseUrl", 'must end with its path; remove "?" or "#" and what follows');
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function checkedAuth(auth: unknown): CheckedAuth {
  if (!isRecord(auth)) throw fault("auth", 'is missing; pass { type: "bearer", token } with an API key');
  const { type, token, projectId } = auth;
  if (type !== "bearer" && type !== "runToken" && type !== "internalSecret") {
    throw fault("auth.type", 'must be "bearer", "runToken" or "internalSecret"');
  }
  if (projectId !== undefined) checkCredential("auth.projectId", projectId, "leave it out or name a project");
  if (typeof token === "function" && type !== "runToken") return { type, token: token as TokenProvider, projectId };
  checkCredential("auth.token", token, "is it set in the environment?");
  return { type, token, projectId };
}

function checkCredential(name: string, value: unknown, fix: string): asserts value is string {
  if (typeof value !== "string" || value === "") throw fault(name, `is missing or empty; ${fix}`);
  if (!isToken(value))
    throw fault(name, "holds a space, a line break or a non-ASCII character; trim it, or copy it again");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function fault(option: string, wrong: string): TypeError {
  return new TypeError(`createClient: ${option} ${wrong}`);
}
