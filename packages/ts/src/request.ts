import createFetchClient from "openapi-fetch";
import { type Call, invalidInput, prepareCall } from "./call.ts";
import {
  AbortError,
  ConnectionError,
  DecodeError,
  type ErrorContext,
  StraitError,
  TimeoutError,
  toApiError,
} from "./errors.ts";
import type { Config, FetchInit } from "./options.ts";
import { type Clock, delayBeforeRetry, isRetryableStatus, readRetryAfter } from "./retry.ts";
import type { CallInput, Operation } from "./runtime.ts";

// Something shorter is a placeholder of a test or an example, and taking it out would garble every message.
const MIN_SECRET_LENGTH = 8;

/** Calls an operation: resolves with the parsed body of a success, undefined when it has none; throws a `StraitError`. */
export type Send = (operation: Operation, input: CallInput) => Promise<unknown>;

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
  // Called without a receiver: the fetch of a browser refuses to be the method of anything but its window.
  const { fetch } = config;
  // openapi-fetch calls only the constructor and the members that the holders have.
  const transport = createFetchClient({
    baseUrl: config.baseUrl,
    Request: Outgoing as unknown as typeof Request,
    fetch: (outgoing) => exchange(outgoing as unknown as Outgoing) as unknown as Promise<Response>,
  }) as unknown as Transport;

  return async function send(operation, input) {
    const call = prepareCall(config, operation, input, clock.now());
    const { query } = input;
    try {
      const options = { call, params: { query }, parseAs: "text" } as const;
      const { data, error, response } = await transport.request(call.method, call.path, options);
      if (response.ok) return decode(call, response.raw, data);
      throw failure(call, response.raw, error);
    } catch (error) {
      if (error instanceof StraitError) throw error;
      // All that is left to fail is the query serializer of openapi-fetch.
      throw invalidInput(operation.id, "query", `cannot be encoded: ${messageOf(error)}`);
    }
  };

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
      const response = await fetch(url, toInit(call, controller.signal));
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
    } catch {
      // The parser's own error is not passed on: its message quotes the body, and with it perhaps a credential.
      const type = response.headers.get("content-type") ?? "no content type";
      const what = text ? `a body that is not JSON (${type})` : "an empty body";
      throw new DecodeError(redact(`${call.operationId}: ${response.status} with ${what}; is baseUrl right?`), {
        ...contextOf(call),
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

/** Frees the connection of an answer that nobody will read. */
function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}

function contextOf(call: Call, cause?: unknown): ErrorContext {
  return { operationId: call.operationId, attempts: call.attempts, cause };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
