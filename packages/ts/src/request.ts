import createFetchClient from "openapi-fetch";
import {
  AbortError,
  ConnectionError,
  DecodeError,
  type ErrorContext,
  StraitError,
  TimeoutError,
  toApiError,
  ValidationError,
} from "./errors.ts";
import { type Config, type FetchInit, headerFault, limitFault } from "./options.ts";
import { type Clock, delayBeforeRetry, isRetryableStatus, readRetryAfter } from "./retry.ts";
import type { CallInput, Operation } from "./runtime.ts";

// Something shorter is a placeholder of a test or an example, and taking it out would garble every message.
const MIN_SECRET_LENGTH = 8;

/** Calls an operation: resolves with the parsed body of a success, undefined when it has none; throws a `StraitError`. */
export type Send = (operationId: string, operation: Operation, input: CallInput) => Promise<unknown>;

/** One call on its way: what every attempt sends, and how far it has come. */
interface Call {
  readonly operationId: string;
  readonly path: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly retries: number;
  readonly timeoutMs: number;
  /** Milliseconds since the epoch; Infinity when the call has no deadline. */
  readonly deadlineAt: number;
  attempts: number;
}

/**
 * What openapi-fetch builds instead of a web `Request`, which costs more than everything else in a call. It can also
 * be sent again, since nothing in it is used up.
 */
class Outgoing {
  readonly url: string;
  readonly method: string;
  readonly call: Call;

  constructor(url: string, init: { readonly call: Call }) {
    this.url = url;
    this.method = init.call.method;
    this.call = init.call;
  }
}

/** An answer whose body has arrived, so that the time limit of its attempt covers the body too. */
class Answer {
  readonly raw: Response;
  readonly #text: string;

  constructor(raw: Response, text: string) {
    this.raw = raw;
    this.#text = text;
  }

  get ok(): boolean {
    return this.raw.ok;
  }

  get status(): number {
    return this.raw.status;
  }

  get headers(): Headers {
    return this.raw.headers;
  }

  async text(): Promise<string> {
    return this.#text;
  }
}

/** The part of an openapi-fetch client that we use, with our holders in the place of `Request` and `Response`. */
interface Transport {
  request(
    method: string,
    path: string,
    init: { readonly call: Call; readonly params: { readonly query: object | undefined }; readonly parseAs: "text" },
  ): Promise<{ readonly data?: string; readonly error?: unknown; readonly response: Answer }>;
}

export function createSend(config: Config, clock: Clock): Send {
  // openapi-fetch calls only the constructor and the members that the holders have.
  const transport = createFetchClient({
    baseUrl: config.baseUrl,
    Request: Outgoing as unknown as typeof Request,
    fetch: (outgoing) => exchange(outgoing as unknown as Outgoing) as unknown as Promise<Response>,
  }) as unknown as Transport;

  return async function send(operationId, operation, input) {
    const call = prepare(operationId, operation, input);
    const { query } = input;
    try {
      const { data, error, response } = await transport.request(call.method, call.path, {
        call,
        params: { query },
        parseAs: "text",
      });
      if (response.ok) return decode(call, response.raw, data);
      throw failure(call, response.raw, error);
    } catch (error) {
      if (error instanceof StraitError) throw error;
      // All that is left to fail is the query serializer of openapi-fetch.
      throw invalid(operationId, "query", `cannot be encoded: ${messageOf(error)}`);
    }
  };

  /** Turns the input into what every attempt sends. Whatever is wrong with it is found here, before anything is sent. */
  function prepare(operationId: string, operation: Operation, input: CallInput): Call {
    const headers: Record<string, string> = { ...(operation.auth === 0 ? config.publicHeaders : config.headers) };
    for (const [name, value] of Object.entries(input.headers ?? {})) {
      if (value === undefined || value === null) continue;
      const wrong = headerFault(name, String(value));
      if (wrong) throw invalid(operationId, `headers["${name}"]`, wrong);
      headers[name.toLowerCase()] = String(value);
    }
    const body = encodeBody(operationId, input.body);
    if (body !== undefined) headers["content-type"] = "application/json";
    const hasKey = operation.idempotent && setIdempotencyKey(operationId, headers, input.idempotencyKey);

    const retries = limit(operationId, "retries", input.retries, config.retries);
    return {
      operationId,
      path: buildPath(operationId, operation.path, input.pathParams),
      method: operation.method,
      headers,
      body,
      signal: input.signal,
      retries: hasKey || isIdempotentMethod(operation.method) ? retries : 0,
      timeoutMs: limit(operationId, "timeoutMs", input.timeoutMs, config.timeoutMs),
      deadlineAt: clock.now() + limit(operationId, "deadlineMs", input.deadlineMs, config.deadlineMs),
      attempts: 0,
    };
  }

  /** Attempts the call until it has an answer to give or a reason to stop. */
  async function exchange({ url, call }: Outgoing): Promise<Answer> {
    for (;;) {
      if (call.signal?.aborted) throw aborted(call);
      const outcome = await attempt(url, call);
      if (outcome instanceof Answer) return outcome;
      await clock.sleep(outcome.delayMs, call.signal);
    }
  }

  /** Sends the request once. An answer is final; a delay means that it is worth another attempt after it. */
  async function attempt(url: string, call: Call): Promise<Answer | { readonly delayMs: number }> {
    call.attempts += 1;
    const leftMs = call.deadlineAt - clock.now();
    const tighter = leftMs < call.timeoutMs ? "deadlineMs" : "timeoutMs";
    let isTimeUp = false;
    // A controller for each attempt: a signal that lives longer would collect a listener from every fetch.
    const controller = new AbortController();
    const timer = setTimeout(
      () => {
        isTimeUp = true;
        controller.abort();
      },
      Math.min(leftMs, call.timeoutMs),
    );
    const relay = (): void => controller.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", relay);
    try {
      const response = await config.fetch(url, toInit(call, controller.signal));
      const delayMs = isRetryableStatus(response.status) ? delayAfter(call, retryAfter(response)) : undefined;
      if (delayMs === undefined) return new Answer(response, await response.text());
      discard(response);
      return { delayMs };
    } catch (cause) {
      if (call.signal?.aborted) throw aborted(call);
      const delayMs = delayAfter(call, undefined);
      if (delayMs !== undefined) return { delayMs };
      throw isTimeUp ? timedOut(call, tighter, cause) : notConnected(call, cause);
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", relay);
    }
  }

  function delayAfter(call: Call, retryAfterMs: number | undefined): number | undefined {
    const { attempts, retries } = call;
    const leftMs = call.deadlineAt - clock.now();
    return delayBeforeRetry(
      { attempts, retries, retryAfterMs, maxRetryAfterMs: config.maxRetryAfterMs, leftMs },
      clock.random,
    );
  }

  function retryAfter(response: Response): number | undefined {
    return readRetryAfter(response.headers, clock.now());
  }

  function decode(call: Call, response: Response, text: string | undefined): unknown {
    if (response.status === 204) return undefined;
    try {
      return JSON.parse(text ?? "");
    } catch (cause) {
      const type = response.headers.get("content-type") ?? "no content type";
      const what = text ? `a body that is not JSON (${type})` : "an empty body";
      throw new DecodeError(redact(`${call.operationId}: ${response.status} with ${what}; is baseUrl right?`), {
        ...contextOf(call, text ? undefined : cause),
        status: response.status,
        requestId: response.headers.get("x-request-id") ?? undefined,
        body: redact(text ?? ""),
      });
    }
  }

  function failure(call: Call, response: Response, error: unknown): StraitError {
    const headers = new Headers();
    for (const [name, value] of response.headers) headers.append(name, redact(value));
    const body = redactDeep(error);
    return toApiError({
      ...contextOf(call),
      status: response.status,
      headers,
      body: body === "" ? undefined : body,
      retryAfterMs: retryAfter(response),
    });
  }

  function aborted(call: Call): AbortError {
    return new AbortError(`${call.operationId}: aborted by the caller's signal`, contextOf(call, call.signal?.reason));
  }

  function timedOut(call: Call, limit: "timeoutMs" | "deadlineMs", cause: unknown): TimeoutError {
    const message = `${call.operationId}: no complete answer within ${limit} (attempt ${call.attempts})`;
    return new TimeoutError(message, { ...contextOf(call, cause), limit });
  }

  function notConnected(call: Call, cause: unknown): ConnectionError {
    // fetch says only "fetch failed"; the reason, such as ECONNREFUSED, is its cause.
    const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
    const message = `${call.operationId}: no answer from ${config.baseUrl}: ${messageOf(reason)}`;
    return new ConnectionError(redact(message), contextOf(call, cause));
  }

  function redact(text: string): string {
    return config.secret.length < MIN_SECRET_LENGTH ? text : text.replaceAll(config.secret, "[redacted]");
  }

  function redactDeep(value: unknown): unknown {
    if (typeof value === "string") return redact(value);
    if (Array.isArray(value)) return value.map(redactDeep);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [redact(key), redactDeep(inner)]));
  }
}

function toInit(call: Call, signal: AbortSignal): FetchInit {
  const { method, headers, body } = call;
  // Redirects are not followed: fetch would carry the internal secret along to wherever they lead.
  const init = { method, headers, redirect: "manual", signal } as const;
  return body === undefined ? init : { ...init, body };
}

function buildPath(operationId: string, parts: readonly string[], params: object | undefined): string {
  let path = "";
  for (const [index, part] of parts.entries()) {
    path += index % 2 === 0 ? part : encodePathValue(operationId, part, params && Reflect.get(params, part));
  }
  return path;
}

function encodePathValue(operationId: string, name: string, value: unknown): string {
  const field = `pathParams.${name}`;
  if (value === undefined || value === null) throw invalid(operationId, field, "is missing");
  if (value === "" || value === "." || value === "..") {
    throw invalid(operationId, field, `must not be "${value}": URLs swallow it, and another operation would be called`);
  }
  if (typeof value !== "string" && typeof value !== "number") throw invalid(operationId, field, "must be a string");
  try {
    return encodeURIComponent(value);
  } catch {
    throw invalid(operationId, field, "holds half of a surrogate pair, which a URL cannot carry");
  }
}

function encodeBody(operationId: string, body: unknown): string | undefined {
  try {
    return JSON.stringify(body);
  } catch (error) {
    throw invalid(operationId, "body", `cannot be written as JSON: ${messageOf(error)}`);
  }
}

/** Sees to the call's `Idempotency-Key`. False means that it goes without one. */
function setIdempotencyKey(
  operationId: string,
  headers: Record<string, string>,
  key: string | false | undefined,
): boolean {
  if (headers["idempotency-key"] !== undefined || headers["x-idempotency-key"] !== undefined) return true;
  if (key === false) return false;
  if (key !== undefined && !/^[\x20-\x7e]{1,256}$/.test(key)) {
    throw invalid(operationId, "idempotencyKey", "must be 1 to 256 printable ASCII characters, or false");
  }
  headers["idempotency-key"] = key ?? newIdempotencyKey();
  return true;
}

function newIdempotencyKey(): string {
  // Browsers have randomUUID only on secure origins, which a server on the local network is not.
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function isIdempotentMethod(method: string): boolean {
  return method === "GET" || method === "DELETE" || method === "PUT" || method === "HEAD";
}

function limit(operationId: string, name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  const wrong = limitFault(name, value);
  if (wrong) throw invalid(operationId, name, wrong);
  return value;
}

/** Frees the connection of an answer that nobody will read. */
function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}

function invalid(operationId: string, field: string, wrong: string): ValidationError {
  return new ValidationError(`${operationId}: ${field} ${wrong}`, { operationId, attempts: 0, field });
}

function contextOf(call: Call, cause?: unknown): ErrorContext {
  return { operationId: call.operationId, attempts: call.attempts, cause };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
