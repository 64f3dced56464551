import type { Call } from "./call.ts";
import type { AbortError, DecodeError, StraitError, TimeoutError } from "./errors.ts";
import type { LateErrors } from "./late-errors.ts";
import type { Transport } from "./request.ts";
import { isRetryable } from "./retry.ts";
import type { CallInput, Operation, StreamEvent, StreamOptions } from "./runtime.ts";
import { EventTooLarge, readEvents } from "./sse.ts";

/** What a stream operation takes, as the run-time core sees it. */
export type StreamInput = Omit<CallInput, "body" | "idempotencyKey"> & StreamOptions;

/** A connection that is over, though the stream is not. */
interface Broken {
  readonly failure: StraitError;
  /** What the server asked for; undefined when it did not. */
  readonly retryAfterMs: number | undefined;
}

const STALL_MS = 37_500;
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
/** A connection that lived this long was healthy, even if nothing happened. */
const HEALTHY_MS = 5_000;
/** How many ids are remembered. A server that repeats itself repeats the latest. */
const REMEMBERED = 1_000;

/**
 * Follows a stream over as many connections as it takes. Each goes on behind the last event that was seen, and an event
 * that comes twice is given once.
 *
 * Between two connections it waits anything from nothing to a ceiling that starts at the server's `retry:` (or 1 s),
 * doubles up to 30 s, and starts anew with each event and after each healthy connection; a `Retry-After` is followed to
 * the millisecond. It ends with the server's `end`, or a 204, which says that there is nothing more to come.
 *
 * @throws {StraitError} When another connection would not help: an answer that is not worth a repetition (401 after one
 *   refresh), `retries` failures in a row, the deadline, the caller's signal, an event that breaks the rules.
 */
export async function* followStream(
  transport: Transport,
  { AbortError, ConnectionError, DecodeError, ProtocolError, TimeoutError }: LateErrors,
  operation: Operation,
  input: StreamInput,
): AsyncGenerator<StreamEvent<unknown>, void, undefined> {
  const { config, clock } = transport;
  const limit = (name: "stallMs" | "maxEventBytes" | "retries" | "deadlineMs", fallback: number): number =>
    transport.limit(operation, name, input[name], fallback);
  const stallMs = limit("stallMs", STALL_MS);
  const maxEventBytes = limit("maxEventBytes", MAX_EVENT_BYTES);
  const retries = limit("retries", Number.POSITIVE_INFINITY);
  const deadlineAt = clock.now() + limit("deadlineMs", Number.POSITIVE_INFINITY);
  const { signal } = input;
  const { id: operationId } = operation;
  let { lastEventId } = input;
  const seen = new Set<string>(lastEventId === undefined ? [] : [lastEventId]);
  let firstDelayMs = FIRST_DELAY_MS;
  let failures = 0;
  let attempts = 0;

  for (;;) {
    const startedAt = clock.now();
    const broken = yield* connect();
    if (broken === undefined) return;
    failures = clock.now() - startedAt < HEALTHY_MS ? failures + 1 : 1;
    if (failures > retries) throw broken.failure;
    const ceilingMs = Math.min(MAX_DELAY_MS, firstDelayMs * 2 ** (failures - 1));
    const delayMs = broken.retryAfterMs ?? clock.random() * ceilingMs;
    if (clock.now() + delayMs >= deadlineAt) throw overdue(broken.failure);
    await clock.sleep(delayMs, signal);
    if (signal?.aborted) throw aborted();
  }

  /** One connection. Undefined when the stream is over. */
  async function* connect(): AsyncGenerator<StreamEvent<unknown>, Broken | undefined, undefined> {
    const connection = new AbortController();
    const relay = (): void => connection.abort(signal?.reason);
    if (signal?.aborted) relay();
    signal?.addEventListener("abort", relay);
    let silence: ReturnType<typeof setTimeout> | undefined;
    let isSilent = false;
    const listen = (): void => {
      clearTimeout(silence);
      silence = setTimeout(
        () => {
          isSilent = true;
          connection.abort();
        },
        Math.min(stallMs, deadlineAt - clock.now()),
      );
    };
    try {
      const call = prepare(connection.signal);
      // The body is read later, and ends with the connection.
      const response = await transport
        .attempt(call, (answer) => answer)
        .finally(() => {
          attempts = call.attempts;
        });
      if (response.status === 204) return undefined;
      listen();
      if (!response.ok || !response.body) return await refused(call, response);
      const type = response.headers.get("content-type") ?? "no content type";
      if (!type.startsWith("text/event-stream")) throw notAStream(response, type);
      return yield* read(call, response.body, connection.signal, listen, () => isSilent);
    } catch (error) {
      if (signal?.aborted) throw aborted();
      if (clock.now() >= deadlineAt) throw overdue(error);
      if (error instanceof ConnectionError || error instanceof TimeoutError) {
        return { failure: error, retryAfterMs: undefined };
      }
      throw error;
    } finally {
      clearTimeout(silence);
      signal?.removeEventListener("abort", relay);
      connection.abort();
    }
  }

  async function* read(
    call: Call,
    body: ReadableStream<Uint8Array>,
    ends: AbortSignal,
    onActivity: () => void,
    isSilent: () => boolean,
  ): AsyncGenerator<StreamEvent<unknown>, Broken | undefined, undefined> {
    const messages = readEvents(body, {
      maxEventBytes,
      signal: ends,
      onActivity,
      onRetry: (delayMs) => {
        firstDelayMs = delayMs;
      },
    });
    for (;;) {
      const next = await messages.next().catch((error: unknown) => {
        if (error instanceof EventTooLarge) throw broken(`an event of more than ${maxEventBytes} bytes`, ProtocolError);
        throw isSilent() ? silent() : broken("the connection broke", ConnectionError, error);
      });
      if (next.done)
        throw isSilent() ? silent() : broken("the connection ended before the stream did", ConnectionError);
      const { event = "message", id, data } = next.value;
      if (event === "end") return undefined;
      if (event === "keepalive" || (id && seen.has(id))) continue;
      if (event === "reset") seen.clear();
      if (id !== undefined) note(id);
      failures = 0;
      const state = parse(data);
      config.validator?.(call, state);
      yield { event, id, data: state };
    }
  }

  function note(id: string): void {
    // An empty id says that there is nothing to go on from.
    lastEventId = id === "" ? undefined : id;
    seen.add(id);
    for (const oldest of seen) {
      if (seen.size <= REMEMBERED) break;
      seen.delete(oldest);
    }
  }

  async function refused(call: Call, response: Response): Promise<Broken> {
    const failure = transport.failure(call, { response, text: await response.text() });
    const { retryAfterMs } = failure;
    if (!isRetryable(response) || (retryAfterMs ?? 0) > config.maxRetryAfterMs) throw failure;
    return { failure, retryAfterMs };
  }

  function prepare(ends: AbortSignal): Call {
    const { headers, pathParams, query, timeoutMs, validate } = input;
    const resumed = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
    const sent = { accept: "text/event-stream", ...headers, ...resumed };
    const call = transport.prepare(operation, {
      headers: sent,
      pathParams,
      query,
      timeoutMs,
      validate,
      signal: ends,
    });
    return { ...call, deadlineAt, attempts };
  }

  function parse(data: string): unknown {
    try {
      return JSON.parse(data);
    } catch {
      throw broken("an event that is not JSON", ProtocolError);
    }
  }

  function broken<Kind extends StraitError>(
    what: string,
    Kind: new (message: string, context: { operationId: string; attempts: number; cause?: unknown }) => Kind,
    cause?: unknown,
  ): Kind {
    return new Kind(what, { operationId, attempts, cause });
  }

  function notAStream(response: Response, type: string): DecodeError {
    return new DecodeError(`${response.status} with ${type} instead of a stream; is baseUrl right?`, {
      operationId,
      attempts,
      status: response.status,
      requestId: response.headers.get("x-request-id") ?? undefined,
      body: "",
    });
  }

  function aborted(): AbortError {
    return broken("aborted by the caller", AbortError, signal?.reason);
  }

  function silent(): TimeoutError {
    const limit = "timeoutMs";
    return new TimeoutError(`nothing came for ${stallMs} ms`, { operationId, attempts, limit });
  }

  function overdue(cause: unknown): TimeoutError {
    const limit = "deadlineMs";
    return new TimeoutError("deadlineMs is up", { operationId, attempts, limit, cause });
  }
}
