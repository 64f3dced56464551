import { errorStatus, type StreamEvent } from "@strait/contract";
import { encodeFrame, envelope, headersOf, refusalHeaders, SSE_HEADERS, StraitError } from "@strait/server/pure";
import { HttpResponse } from "msw";

/** Every answer names its exchange, as the server's do. */
let exchanges = 0;
const nextRequestId = (): string => `req_${String(++exchanges).padStart(26, "0")}`;

type Headers = Readonly<Record<string, string>>;

/** A body of a success or, with the headers that go with it, of an error; undefined answers none. */
export function jsonResponse(status: number, body: unknown, headers: Headers = {}): Response {
  const all = { ...headersOf(nextRequestId()), ...retryHeaders(body), ...headers };
  if (body === undefined) return new HttpResponse(null, { status, headers: all });
  return new HttpResponse(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...all } });
}

/** What the server would say in the headers about an error that is given as a body. */
function retryHeaders(body: unknown): Headers {
  const error = (body as { readonly error?: Partial<StraitError> | null } | null | undefined)?.error;
  return error?.code !== undefined && error.details !== undefined
    ? refusalHeaders(new StraitError(error.code, "", { details: error.details }))
    : {};
}

/** A refusal as the server writes it. */
export function refusalResponse(error: StraitError): Response {
  const id = nextRequestId();
  const headers = { ...headersOf(id), ...refusalHeaders(error), "content-type": "application/json" };
  return new HttpResponse(envelope(error, id), { status: errorStatus[error.code], headers });
}

export type Events = Iterable<StreamEvent> | AsyncIterable<StreamEvent>;

/** Server-sent events, each sent when its reader asks for it. */
export function eventsResponse(status: number, events: Events, signal: AbortSignal, headers: Headers = {}): Response {
  const iterator = Symbol.asyncIterator in events ? events[Symbol.asyncIterator]() : events[Symbol.iterator]();
  return streamResponse(status, bytesOf(iterator, signal), headers);
}

export function streamResponse(
  status: number,
  body: ReadableStream<Uint8Array> | null,
  headers: Headers = {},
): Response {
  const all = { ...headersOf(nextRequestId()), ...SSE_HEADERS, ...headers };
  return new HttpResponse(body, { status, headers: all });
}

/** @param signal - Of the request. MSW clones an answer, so canceling the body does not arrive here; an abort does. */
function bytesOf(
  iterator: Iterator<StreamEvent> | AsyncIterator<StreamEvent>,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      signal.addEventListener("abort", () => {
        controller.error(signal.reason);
        void iterator.return?.();
      });
    },
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (signal.aborted) return;
      if (done) return controller.close();
      controller.enqueue(encodeFrame(value));
    },
  });
}
