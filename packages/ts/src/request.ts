import { type Call, prepareCall } from "./call.ts";
import { createCredentials } from "./credentials.ts";
import {
  AbortError,
  type ApiError,
  ConnectionError,
  DecodeError,
  type ErrorContext,
  TimeoutError,
  TokenError,
  ValidationError,
} from "./errors.ts";
import type { Next } from "./middleware.ts";
import type { Config } from "./options.ts";
import { type Clock, delayBeforeRetry, isRetryable, readRetryAfter } from "./retry.ts";
import type { Answer, CallInput, Operation } from "./runtime.ts";
import { toApiError } from "./status-errors.ts";

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
  /** Calls an operation. Resolves for every answer, also an error; throws a `StraitError` when there is none. */
  call(operation: Operation, input: CallInput): Promise<Answer<unknown, ApiError>>;
  /** Attempts a prepared call until it has an answer to give or a reason to stop. */
  exchange(call: Call, leavesBody?: LeavesBody): Promise<Arrived>;
  /** Sends a prepared call once, after a 401 once more with another token. The body is left to be read. */
  open(call: Call): Promise<Response>;
  /** The error for an answer that is one. */
  failure(call: Call, arrived: Arrived): ApiError;
  /** Holds what a call was answered against the contract, where the call asks for it. @throws {ValidationError} */
  verify(call: Call, data: unknown): void;
  redact(text: string): string;
}

/** Decides whether the body of an answer is left to be read, in which case the caller's signal goes on ending it. */
type LeavesBody = (response: Response) => boolean;

export function createTransport(config: Config, clock: Clock): Transport {
  // Called without a receiver: the fetch of a browser refuses to be the method of anything but its window.
  const { fetch } = config;
  const credentials = createCredentials(config.auth);
  const unanswered = new WeakSet<object>();
  const send = config.middleware.reduceRight<Next>(
    (next, middleware) => async (request) => middleware(request, next),
    async ({ url, method, headers, body, signal }) => {
      // Redirects are not followed: fetch would carry the internal secret along to wherever they lead.
      const init = { method, headers, redirect: "manual", signal } as const;
      try {
        return await fetch(url, body === undefined ? init : { ...init, body });
      } catch (cause) {
        if (typeof cause === "object" && cause) unanswered.add(cause);
        throw cause;
      }
    },
  );

  const { redact } = credentials;

  return { config, clock, call, exchange, open, failure, verify, redact };

  async function call(operation: Operation, input: CallInput): Promise<Answer<unknown, ApiError>> {
    const prepared = prepareCall(config, operation, input, clock.now());
    const arrived = await exchange(prepared);
    const { response } = arrived;
    if (!response.ok) return { ok: false, data: undefined, error: failure(prepared, arrived), response };
    const data = decode(prepared, arrived);
    if (data !== undefined) verify(prepared, data);
    return { ok: true, data, error: undefined, response };
  }

  async function exchange(call: Call, leavesBody: LeavesBody = () => false): Promise<Arrived> {
    for (;;) {
      const outcome = await attempt(call, async (response, leave) => {
        const delayMs = isRetryable(response) ? delayAfter(call, retryAfter(response)) : undefined;
        if (delayMs !== undefined) {
          discard(response);
          return delayMs;
        }
        if (!leavesBody(response)) return { response, text: await response.text() };
        leave();
        return { response, text: "" };
      }).catch((error: unknown) => {
        const isPassing = error instanceof ConnectionError || error instanceof TimeoutError;
        const delayMs = isPassing ? delayAfter(call, undefined) : undefined;
        if (delayMs === undefined) throw error;
        return delayMs;
      });
      if (typeof outcome === "object") return outcome;
      await clock.sleep(outcome, call.signal);
    }
  }

  function open(call: Call): Promise<Response> {
    return attempt(call, (response, leave) => {
      leave();
      return response;
    });
  }

  /** Sends the request once, and reads its answer within the time limits. */
  async function attempt<Result>(
    call: Call,
    read: (response: Response, leave: () => void) => Result | Promise<Result>,
  ): Promise<Awaited<Result>> {
    if (call.signal?.aborted) throw aborted(call);
    call.tries += 1;
    const leftMs = call.deadlineAt - clock.now();
    const tighter = leftMs < call.timeoutMs ? "deadlineMs" : "timeoutMs";
    let isTimeUp = false;
    let isLeft = false;
    let hasSent = false;
    let hasHead = false;
    // A controller for each attempt: a signal that lives longer would collect a listener from every fetch.
    const controller = new AbortController();
    const { signal } = controller;
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
      const transmit = async (rejected?: string): Promise<Response> => {
        const token = call.isPublic ? undefined : await untilAborted(credentials.token(rejected), signal);
        const { operationId, method, url, body } = call;
        const proof = token === undefined ? {} : credentials.headers(token);
        const headers = { ...config.headers, ...proof, ...call.headers };
        call.attempts += 1;
        hasSent = true;
        const response = await send({ operationId, attempt: call.attempts, method, url, headers, body, signal });
        if (response.status !== 401 || !credentials.canRefresh || call.hasRefreshed) return response;
        discard(response);
        call.hasRefreshed = true;
        hasSent = false;
        return transmit(token);
      };
      const response = await transmit();
      hasHead = true;
      const leave = (): void => {
        isLeft = true;
      };
      return await untilAborted(Promise.resolve(read(response, leave)), signal);
    } catch (cause) {
      if (call.signal?.aborted) throw aborted(call);
      if (isTimeUp) throw timedOut(call, tighter, cause);
      if (!hasSent)
        throw new TokenError(redact(`${call.operationId}: no token: ${messageOf(cause)}`), contextOf(call, cause));
      if (config.middleware.length > 0 && !hasHead && !unanswered.has(Object(cause))) throw cause;
      throw notConnected(call, cause);
    } finally {
      clearTimeout(timer);
      if (!isLeft) call.signal?.removeEventListener("abort", relay);
    }
  }

  function delayAfter(call: Call, retryAfterMs: number | undefined): number | undefined {
    const { tries, retries } = call;
    const { maxRetryAfterMs } = config;
    const leftMs = call.deadlineAt - clock.now();
    return delayBeforeRetry({ attempts: tries, retries, retryAfterMs, maxRetryAfterMs, leftMs }, clock.random);
  }

  function retryAfter(response: Response): number | undefined {
    return readRetryAfter(response.headers, clock.now());
  }

  function decode(call: Call, { response, text }: Arrived): unknown {
    if (response.status === 204) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      // The parser's own error is not passed on: its message quotes the body, and with it perhaps a credential.
      const type = response.headers.get("content-type") ?? "no content type";
      const what = text ? `a body that is not JSON (${type})` : "an empty body";
      throw new DecodeError(redact(`${call.operationId}: ${response.status} with ${what}; is baseUrl right?`), {
        ...contextOf(call),
        status: response.status,
        requestId: response.headers.get("x-request-id") ?? undefined,
        body: redact(text),
      });
    }
  }

  function failure(call: Call, { response, text }: Arrived): ApiError {
    const headers = new Headers();
    for (const [name, value] of response.headers) headers.append(name, redact(value));
    const answer = {
      ...contextOf(call),
      status: response.status,
      headers,
      body: readBody(redact(text)),
      retryAfterMs: retryAfter(response),
    };
    return toApiError(answer, config.auth.type === "runToken");
  }

  function verify(call: Call, data: unknown): void {
    const fault = config.validator?.(call.operationId, data, call.validate);
    if (fault) throw new ValidationError(fault.message, { ...fault, attempts: call.attempts });
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
}

/** Settles as `promise` does, but rejects as soon as `signal` is aborted. The signal has to be short-lived. */
function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    promise.then(resolve, reject);
  });
}

/** The body of an error: parsed, or as text when it is not JSON; undefined when there is none. */
function readBody(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
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
