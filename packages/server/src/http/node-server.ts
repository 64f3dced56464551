import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type Server as NodeServer,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import { errorStatus } from "@strait/contract";
import { StraitError, validationError } from "../domain/errors.ts";
import { envelope, headersOf } from "../wire/envelope.ts";

export interface NodeServerOptions {
  fetch(request: Request, env?: object): Response | Promise<Response>;
  /** How long a request may take to arrive. */
  readonly requestTimeoutMs: number;
}

/** Node's own server around `fetch`. What it refuses itself is answered in the same form as everything else. */
export function createNodeServer({ fetch, requestTimeoutMs }: NodeServerOptions): NodeServer {
  const errorHandler = (error: unknown) => {
    const refusal = error instanceof RequestError ? notHttp(error.message) : INTERNAL;
    const { status, headers, body } = refusalAnswer(refusal);
    return new Response(body, { status, headers });
  };
  // Node would refuse a request without a host with an empty answer; the adaptor does it through `errorHandler`.
  const options = { requireHostHeader: false, connectionsCheckingInterval: CHECK_MS };
  const listener = getRequestListener(readingOn(fetch), { errorHandler });
  const http = createServer(options, (request, response) => {
    if (hasSeveralHosts(request)) void refuseWith(request, response, notHttp("name one Host"));
    else void listener(request, response);
  });
  // Nobody reads a body that no operation asks for, and it may have no end. What a refused POST has left is read for a while.
  http.prependListener("request", (request, response) => {
    if (!TAKE_BODIES.has(request.method) && hasBody(request)) response.shouldKeepAlive = false;
  });
  // A body is asked for when somebody begins to read it: after a look at the credentials and at its length.
  http.on("checkContinue", (request, response) => {
    request.once("resume", () => {
      if (response.headersSent) return;
      asked.add(request);
      response.writeContinue();
    });
    http.emit("request", request, response);
  });
  http.on("checkExpectation", (request, response) => {
    void refuseWith(request, response, notHttp("leave out Expect, or say 100-continue"));
  });
  http.requestTimeout = requestTimeoutMs;
  http.headersTimeout = requestTimeoutMs;
  http.keepAliveTimeout = 65_000;
  http.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const { _httpMessage: answer } = socket as { _httpMessage?: { headersSent: boolean } };
    // Gone, or in the middle of another answer.
    if (!socket.writable || error.code === "ECONNRESET" || answer?.headersSent) socket.destroy();
    else refuse(refusalOf(error), socket);
  });
  return http;
}

/** How often connections are closed that have been answered last: they stay open for another request. */
const SWEEP_MS = 20;

/** Takes no more connections, and resolves when every request under way is answered, or cut after the time. */
export async function stopTaking(http: NodeServer, timeoutMs: number): Promise<void> {
  http.prependListener("request", (_request, response) => {
    response.shouldKeepAlive = false;
  });
  const sweep = setInterval(() => http.closeIdleConnections(), SWEEP_MS);
  const limit = setTimeout(() => http.closeAllConnections(), timeoutMs);
  await new Promise<void>((resolve) => http.close(() => resolve()));
  clearInterval(sweep);
  clearTimeout(limit);
}

const TAKE_BODIES: ReadonlySet<string | undefined> = new Set(["POST", "PATCH"]);

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/** Who stands in front of this server may have read the other one (RFC 9112, 3.2). Node.js takes the first. */
function hasSeveralHosts({ rawHeaders }: IncomingMessage): boolean {
  let count = 0;
  // Names stand at even places; the length tells most of them apart without a copy in lower case.
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === "host") count += 1;
  }
  return count > 1;
}

/** For so long, and so many bytes, a refused body is read on. */
const READ_ON_MS = 2_000;
const READ_ON_BYTES = 64 * 2 ** 20;

/**
 * A connection that is to end with its answer is cut while the client still sends, which then never reads why. So what is
 * left of a refused body is read first, for a while; on other connections it is read after the answer.
 */
function readingOn(fetch: NodeServerOptions["fetch"]): NodeServerOptions["fetch"] {
  return (request, env) => {
    const { incoming, outgoing } = env as { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse };
    const response = fetch(request, env);
    return outgoing.shouldKeepAlive ? response : afterBody(incoming, response);
  };
}

/** Who expected to be asked for the body, and was. */
const asked = new WeakSet<IncomingMessage>();

/** Who expects to be asked for the body does not send it before. */
function isSending(message: IncomingMessage): boolean {
  if (message.complete || message.destroyed || !TAKE_BODIES.has(message.method)) return false;
  return message.headers.expect === undefined || asked.has(message);
}

async function afterBody(message: IncomingMessage, response: Response | Promise<Response>): Promise<Response> {
  const answer = await response;
  if (isSending(message)) await rest(message);
  return answer;
}

function rest(message: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const done = () => {
      clearTimeout(timer);
      message.off("data", count).off("end", done).off("close", done);
      resolve();
    };
    const count = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > READ_ON_BYTES) done();
    };
    const timer = setTimeout(done, READ_ON_MS);
    message.on("data", count).on("end", done).on("close", done).resume();
  });
}

/** How often Node.js looks for requests that take too long, by default so seldom that they are given twice their time. */
const CHECK_MS = 1_000;

const INTERNAL = new StraitError("internal_error", "something went wrong in the server; try again");

function notHttp(reason: string): StraitError {
  return validationError([{ field: "/headers", rule: "http", fix: `send a request that is HTTP/1.1: ${reason}` }]);
}

const jsonHeadersOf = (id: string) => ({ ...headersOf(id), "content-type": "application/json" });

/** The parser does not know where the next request begins, so the connection ends with the answer. */
function refuse(refusal: StraitError, socket: Duplex): void {
  const { status, headers, body } = refusalAnswer(refusal);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}

async function refuseWith(request: IncomingMessage, response: ServerResponse, refusal: StraitError): Promise<void> {
  if (isSending(request)) await rest(request);
  const { status, headers, body } = refusalAnswer(refusal);
  response.writeHead(status, headers).end(body);
}

function refusalAnswer(refusal: StraitError) {
  const id = randomUUID();
  const body = envelope(refusal, id);
  const headers = { ...jsonHeadersOf(id), "content-length": String(Buffer.byteLength(body)), connection: "close" };
  return { status: errorStatus[refusal.code], headers, body };
}

function refusalOf({ code, message }: NodeJS.ErrnoException): StraitError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new StraitError("headers_too_large", "the request's headers are larger than 16 KiB; send fewer");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new StraitError("payload_too_large", "the body's chunk extensions are too large; leave them out");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new StraitError("request_timeout", "the request did not arrive in time; send it again, without pauses");
    default:
      return notHttp(message.replace(/^Parse Error: /, ""));
  }
}
