import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** What a program reported: what it got from the client, or why it failed. */
export interface Report {
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: string;
}

/** Answers that a client has to deal with, the same to every runtime; each talks to it below a path of its own. */
export interface RuntimesServer {
  /** Where the server is for a runtime, and what it reports to it. */
  open(
    runtime: string,
    files?: Readonly<Record<string, string>>,
  ): { readonly baseUrl: string; report: Promise<Report> };
  close(): Promise<void>;
}

interface Visitor {
  /** Files of a page that it may load, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** The idempotency keys of the sends so far. */
  readonly keys: string[];
  resolve(report: Report): void;
}

const KEY = "aml:user/ü 1";
const TRIGGER = `/v1/events/${encodeURIComponent(KEY)}`;
const sse = { "content-type": "text/event-stream" };

/** Serves on any free port of 127.0.0.1. */
export async function startRuntimesServer(): Promise<RuntimesServer> {
  const visitors = new Map<string, Visitor>();
  const http = createServer((request, response) => {
    const [, runtime = "", rest = ""] = /^\/([^/]+)(\/.*)$/.exec(request.url ?? "") ?? [];
    const visitor = visitors.get(runtime);
    if (!visitor) return void response.writeHead(404).end();
    answer(visitor, `${request.method} ${rest}`, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  return {
    open(runtime, files = {}) {
      const report = new Promise<Report>((resolve) => visitors.set(runtime, { files, keys: [], resolve }));
      return { baseUrl: `http://127.0.0.1:${port}/${runtime}`, report };
    },
    close() {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}

async function answer(visitor: Visitor, what: string, request: IncomingMessage, response: ServerResponse) {
  const file = visitor.files[what.slice("GET ".length)];
  if (file !== undefined) {
    const type = what.endsWith(".js") ? "text/javascript" : "text/html";
    return void response.writeHead(200, { "content-type": type }).end(file);
  }
  const reply = (status: number, body: unknown, headers: Record<string, string> = {}) =>
    void response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

  switch (what) {
    case "POST /report":
      visitor.resolve(JSON.parse(await text(request)) as Report);
      return reply(200, {});
    case "GET /health":
      return reply(200, { status: "ok" });
    case "GET /v1/events":
      return reply(200, { data: [{ event_key: "a" }, { event_key: "b" }], has_more: true, next_cursor: "2" });
    case "GET /v1/events?cursor=2":
      return reply(200, { data: [{ event_key: "c" }], has_more: false, next_cursor: null });
    case `GET ${TRIGGER}`:
      return reply(200, { event_key: KEY, status: "waiting" });
    case "GET /v1/events/missing":
      return reply(
        404,
        { error: { code: "not_found", message: "no such event trigger" } },
        { "x-request-id": "req_1" },
      );
    case "GET /v1/events/moved":
      return reply(302, {}, { location: `./${encodeURIComponent(KEY)}` });
    case "GET /v1/events/slow":
      return;
    case `POST ${TRIGGER}/send`:
      return answerSend(visitor, await text(request), request, reply);
    case `GET ${TRIGGER}/stream`:
      return void response.writeHead(200, sse).write('event: status\nid: 1\ndata: {"status":"waiting"}\n\n');
    case "GET /v1/runs/run_1/stream":
      return answerStream(request, response);
    default:
      return reply(404, { error: { code: "not_found", message: `the server of this check does not know ${what}` } });
  }
}

/** Each send succeeds the second time, and says whether it was repeated under the same key, and what it said. */
function answerSend(
  { keys }: Visitor,
  body: string,
  { headers }: IncomingMessage,
  reply: (status: number, body: unknown, headers?: Record<string, string>) => void,
): void {
  const key = String(headers["idempotency-key"]);
  const isRepeated = keys.includes(key);
  keys.push(key);
  const isAuthorized = /^Bearer strait_\w+$/.test(headers.authorization ?? "");
  if (!isRepeated) reply(503, {}, { "retry-after": "0" });
  else reply(200, { sends: keys.length, keys: new Set(keys).size, body, isAuthorized, type: headers["content-type"] });
}

/** Breaks off in the middle of the second event; the next connection has to go on behind the first one. */
function answerStream({ headers }: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, sse);
  const event = (id: number, status: string) => `event: status\r\nid: ${id}\r\ndata: {"status":"${status}"}\r\n\r\n`;
  if (headers["last-event-id"] === undefined) {
    response.write(`retry: 1\r\n\r\n${event(1, "executing ✓")}${event(2, "lost").slice(0, 30)}`);
    setTimeout(() => response.destroy(), 50);
    return;
  }
  const rest = Buffer.from(`${event(2, `completed ✓ after ${headers["last-event-id"]}`)}event: end\ndata: {}\n\n`);
  const middle = rest.indexOf("✓") + 1;
  response.write(rest.subarray(0, middle));
  setTimeout(() => response.end(rest.subarray(middle)), 50);
}
