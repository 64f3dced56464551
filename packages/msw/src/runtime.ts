import type { StreamEvent } from "@strait/contract";
import { type HttpHandler, HttpResponse, http, type JsonBodyType } from "msw";

/** A call that reached a mock. */
export interface MockCall<PathParams, Body> {
  /** As text, percent-decoded once. */
  readonly pathParams: PathParams;
  readonly query: URLSearchParams;
  /** The JSON of the request, not checked against the contract; undefined when there is none. */
  readonly body: Body;
  readonly request: Request;
}

/** One operation as a mock sees it. */
export interface MockOperation {
  readonly call: MockCall<unknown, unknown>;
  /** A union over the statuses of the contract. */
  readonly answer: { readonly status: number; readonly body?: unknown };
  /** The status of the first success. */
  readonly first: number;
}

/** The body that goes with a status. */
type BodyOf<Answer, Status> = Answer extends { readonly status: infer Statuses; readonly body?: infer Body }
  ? Status extends Statuses
    ? Body
    : never
  : never;

/** An example of every answer, by status. */
export type ExamplesOf<Operation extends MockOperation> = {
  readonly [Status in Operation["answer"]["status"]]: BodyOf<Operation["answer"], Status>;
};

/**
 * What a mock answers: a status of the contract alone (with the contract's example as body), status and body, or a
 * body alone (with the status of the first success).
 */
export type Reply<Operation extends MockOperation> =
  | Operation["answer"]["status"]
  | Operation["answer"]
  | { readonly status?: undefined; readonly body: BodyOf<Operation["answer"], Operation["first"]> };

/** What stands in for the example: a reply, or a function of the call that gives one, or a whole `Response`. */
export type Override<Operation extends MockOperation> =
  | Reply<Operation>
  | ((call: Operation["call"]) => Reply<Operation> | Response | Promise<Reply<Operation> | Response>);

/**
 * Makes the handler of one operation for the server at `baseUrl`. Without an override it answers the contract's example
 * of the first success.
 */
export type HandlerFactory<Operation extends MockOperation> = (
  baseUrl: string,
  override?: Override<Operation> | undefined,
) => HttpHandler;

type Method = "DELETE" | "GET" | "PATCH" | "POST" | "PUT";

const register = { DELETE: http.delete, GET: http.get, PATCH: http.patch, POST: http.post, PUT: http.put } as const;

/** Where an operation is, and how it answers. */
export interface Route<First extends number> {
  readonly method: Method;
  /** As MSW takes it, such as `/v1/events/:eventKey`. */
  readonly path: string;
  /** The status of the first success. */
  readonly first: First;
  /** Whether that answer is a stream of server-sent events. */
  readonly sse: boolean;
}

/** Makes the factory of one operation from its row in the contract and its examples. */
export function handlerFactory<Operation extends MockOperation>(
  { method, path, first, sse }: Route<Operation["first"]>,
  examples: ExamplesOf<Operation>,
): HandlerFactory<Operation> {
  const bodies: Readonly<Record<number, unknown>> = examples;

  return (baseUrl, override = first) =>
    register[method](`${baseUrl.replace(/\/+$/, "")}${path}`, async ({ request, params }) => {
      if (typeof override !== "function") return respond(request, override);
      const body = await readJson(request);
      if (body === MALFORMED) return respond(request, 400);
      const reply = await override({ pathParams: params, query: new URL(request.url).searchParams, body, request });
      return reply instanceof Response ? reply : respond(request, reply);
    });

  function respond(request: Request, reply: LooseReply): Response {
    const status = typeof reply === "number" ? reply : (reply.status ?? first);
    const body = typeof reply === "number" ? bodies[reply] : reply.body;
    return sse && status === first
      ? streamResponse(status, body as Events, request.signal)
      : jsonResponse(status, body);
  }
}

/** Any `Reply`; that status and body belong together was checked where it was written. */
type LooseReply = number | { readonly status?: number | undefined; readonly body?: unknown };

const MALFORMED = Symbol("malformed JSON");

async function readJson(request: Request): Promise<unknown> {
  const text = await request.clone().text();
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return MALFORMED;
  }
}

/** Every answer of the server names its exchange, so that what shows or logs the id finds one. */
const headers = { "X-Request-Id": "req_01k0000000e0080000000000ex" };

function jsonResponse(status: number, body: unknown): Response {
  if (body === undefined) return new HttpResponse(null, { status, headers });
  return HttpResponse.json(body as JsonBodyType, { status, headers });
}

type Events = Iterable<StreamEvent> | AsyncIterable<StreamEvent>;

function streamResponse(status: number, events: Events, signal: AbortSignal): Response {
  const streamHeaders = { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" };
  return new HttpResponse(encodeEvents(events, signal), { status, headers: { ...headers, ...streamHeaders } });
}

/**
 * Server-sent events as bytes, each sent when its reader asks for it. Written here because `sse()` of MSW needs a global
 * `EventSource`, which Node 20 lacks, and cannot answer an error.
 *
 * @param signal - Of the request. MSW clones an answer, so canceling the body does not arrive here; an abort does.
 */
function encodeEvents(events: Events, signal: AbortSignal): ReadableStream<Uint8Array> {
  const iterator = Symbol.asyncIterator in events ? events[Symbol.asyncIterator]() : events[Symbol.iterator]();
  const encoder = new TextEncoder();
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
      const id = value.id === undefined ? "" : `id: ${value.id}\n`;
      controller.enqueue(encoder.encode(`${id}event: ${value.event}\ndata: ${JSON.stringify(value.data)}\n\n`));
    },
  });
}
