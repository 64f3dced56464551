import { type Call, prepareCall, refuseInput } from "./call.ts";
import { createCredentials } from "./credentials.ts";
import {
  AbortError,
  type ApiError,
  ConnectionError,
  DecodeError,
  type ErrorContext,
  TimeoutError,
  TokenError,
} from "./errors.ts";
import { messageOf } from "./message-of.ts";
import type { Next } from "./middleware.ts";
import { type Config, checkedLimit, type Limit } from "./options.ts";
import { type Clock, delayBeforeRetry, isRetryable, readRetryAfter } from "./retry.ts";
import type { Answer, CallInput, Operation } from "./runtime.ts";
import { toApiError } from "./to-api-error.ts";

/** An answer and its body as text, so that the time limit of an attempt covers the body too. */
export interface Arrived {
  readonly response: Response;
  /** Empty when the body was left to be read. */
  readonly text: string;
}

/** How requests leave a client: everything that its surfaces have in common. */
export interface Transport {
  readonly config: Config;
  readonly clock: Clock;
  /** What every attempt of a call sends. @throws {ValidationError} When something in the input cannot be sent. */
  prepare(operation: Operation, input: CallInput): Call;
  /** The value of a limit that only one surface knows. @throws {ValidationError} */
  limit(operation: Operation, name: Limit, value: number | undefined, fallback: number): number;
  /** Calls an operation. Resolves for every answer, also an error; throws a `StraitError` when there is none. */
  call(operation: Operation, input: CallInput): Promise<Answer<unknown, ApiError>>;
  /** Attempts a prepared call until it has an answer to give or a reason to stop. */
  exchange(call: Call, leavesBody?: (response: Response) => boolean): Promise<Arrived>;
  /** Sends a prepared call once, after a 401 once more with another token, and reads the answer within the time limits. */
  attempt<Result>(call: Call, read: (response: Response) => Result | Promise<Result>): Promise<Result>;
  /** The error for an answer that is one. */
  failure(call: Call, arrived: Arrived): ApiError;
  redact(text: string): string;
}

export function createTransport(config: Config, clock: Clock): Transport {
  // Called without a receiver: the fetch of a browser refuses to be the method of anything but its window.
  const { fetch } = config;
  const credentials = createCredentials(config.auth);
  const { redact } = credentials;
  const send = config.middleware.reduceRight<Next>(
    (next, middleware) => async (request) => middleware(request, next),
    async ({ operationId, attempt, url, method, headers, body, signal }) => {
      // Redirects are not followed: fetch would carry the internal secret along to wherever they lead.
      try {
        return await fetch(url, { method, headers, body: body ?? null, redirect: "manual", signal });
      } catch (cause) {
        throw notConnected({ operationId, attempts: attempt, cause });
      }
    },
  );

  return { config, clock, prepare, limit, call, exchange, attempt, failure, redact };

  function prepare(operation: Operation, input: CallInput): Call {
    return prepareCall(config, operation, input, clock.now());
  }

  function limit({ id }: Operation, name: Limit, value: number | undefined, fallback: number): number {
    return checkedLimit(refuseInput(id), name, value, fallback);
  }

  async function call(operation: Operation, input: CallInput): Promise<Answer<unknown, ApiError>> {
    const prepared = prepare(operation, input);
    const arrived = await exchange(prepared);
    const { response } = arrived;
    if (!response.ok) return { ok: false, data: undefined, error: failure(prepared, arrived), response };
    const data = decode(prepared, arrived);
    if (data !== undefined) config.validator?.(prepared, data);
    return { ok: true, data, error: undefined, response };
  }

  async function exchange(call: Call, leavesBody?: (response: Response) => boolean): Promise<Arrived> {
    for (;;) {
      let delayMs: number | undefined;
      try {
        const arrived = await attempt(call, async (response) => {
          if (isRetryable(response)) delayMs = delayBeforeRetry(call, config, clock, readRetryAfter(response, clock));
          if (delayMs !== undefined) return discard(response);
          return { response, text: leavesBody?.(response) ? "" : await readText(call, response) };
        });
        if (arrived) return arrived;
      } catch (error) {
        if (error instanceof ConnectionError || error instanceof TimeoutError) {
          delayMs = delayBeforeRetry(call, config, clock);
        }
        if (delayMs === undefined) throw error;
      }
      await clock.sleep(delayMs ?? 0, call.signal);
    }
  }

  async function attempt<Result>(call: Call, read: (response: Response) => Result | Promise<Result>): Promise<Result> {
    const { signal: caller, timeoutMs } = call;
    const abort = (): AbortError => new AbortError("aborted by the caller", contextOf(call, caller?.reason));
    if (caller?.aborted) throw abort();
    call.tries += 1;
    // A controller for each attempt: a signal that lives longer would collect a listener from every fetch.
    const controller = new AbortController();
    const { signal } = controller;
    const leftMs = call.deadlineAt - clock.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let relay = (): void => {};
    try {
      return await new Promise<Result>((resolve, reject) => {
        // It rejects first, so that what ends by it does not count.
        const stop = (error: Error): void => {
          reject(error);
          controller.abort(error.cause);
        };
        relay = () => stop(abort());
        caller?.addEventListener("abort", relay);
        timer = setTimeout(
          () => {
            const limit = leftMs < timeoutMs ? "deadlineMs" : "timeoutMs";
            const message = `no whole answer within ${limit} (attempt ${call.attempts})`;
            stop(new TimeoutError(message, { ...contextOf(call), limit }));
          },
          Math.min(leftMs, timeoutMs),
        );
        transmit(call, signal).then(read).then(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
      caller?.removeEventListener("abort", relay);
    }
  }

  async function transmit(call: Call, signal: AbortSignal, rejected?: string): Promise<Response> {
    const token = call.isPublic ? undefined : await provideToken(call, rejected);
    signal.throwIfAborted();
    call.attempts += 1;
    const { operationId, attempts: attempt, method, url, body } = call;
    // Several spreads in a literal would take ten times as long.
    const headers = Object.assign({}, config.headers, token && credentials.headers(token), call.headers);
    const response = await send({ operationId, attempt, method, url, headers, body, signal });
    if (response.status !== 401 || !credentials.canRefresh || call.hasRefreshed) return response;
    discard(response);
    call.hasRefreshed = true;
    return transmit(call, signal, token);
  }

  async function provideToken(call: Call, rejected: string | undefined): Promise<string> {
    try {
      return await credentials.token(rejected);
    } catch (cause) {
      throw new TokenError(redact(`no token: ${messageOf(cause)}`), contextOf(call, cause));
    }
  }

  function decode(call: Call, { response, text }: Arrived): unknown {
    const { status, headers } = response;
    if (status === 204) return undefined;
    return parse(text, () => {
      // The parser's own error is not passed on: its message quotes the body, and with it perhaps a credential.
      const what = text ? `a body that is not JSON (${headers.get("content-type")})` : "no body";
      throw new DecodeError(redact(`${status} with ${what}; is baseUrl right?`), {
        ...contextOf(call),
        status,
        requestId: headers.get("x-request-id") ?? undefined,
        body: redact(text),
      });
    });
  }

  function failure(call: Call, { response, text }: Arrived): ApiError {
    const clean = redact(text);
    const headers = new Headers();
    for (const [name, value] of response.headers) headers.append(name, redact(value));
    const answer = {
      ...contextOf(call),
      status: response.status,
      headers,
      // A proxy may answer with something else than JSON, or with nothing.
      body: parse(clean, () => clean || undefined),
      retryAfterMs: readRetryAfter(response, clock),
    };
    return toApiError(answer, config.auth.type === "runToken");
  }

  async function readText(call: Call, response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (cause) {
      throw notConnected(contextOf(call, cause));
    }
  }

  function notConnected(context: ErrorContext): ConnectionError {
    // fetch says only "fetch failed"; the reason, such as ECONNREFUSED, is its cause.
    const { cause } = context;
    const reason = messageOf((cause instanceof Error && cause.cause) || cause);
    return new ConnectionError(redact(`no answer from ${config.baseUrl}: ${reason}`), context);
  }
}

function parse(text: string, otherwise: () => unknown): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return otherwise();
  }
}

/** Frees the connection of an answer that nobody will read. */
function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}

function contextOf({ operationId, attempts }: Call, cause?: unknown): ErrorContext {
  return { operationId, attempts, cause };
}
