import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buildFiles, type PageFile } from "./build.ts";

/** Your own web server: it knows the API key and who may do what; the page knows neither. */
export interface ApprovalsServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface ApprovalsOptions {
  /** Where this server and a browser reach Strait. */
  readonly straitUrl: string;
  /** Needs the scopes `events:read` and `events:write`. */
  readonly apiKey: string;
  /** Default: any free port. */
  readonly port?: number | undefined;
}

/** What a page may do with the API key. Its streams are not among it: a stream token opens them, at Strait itself. */
const ALLOWED = /^(GET \/v1\/events(\?.*)?|POST \/v1\/(events\/[^/?]+\/(send|reject)|stream-tokens))$/;
const PASSED_ON = ["content-type", "idempotency-key"];
const PASSED_BACK = ["content-type", "retry-after", "x-request-id"];
const MAX_BODY_BYTES = 64 * 1024;

/** Serves the page on 127.0.0.1, and passes on what it asks of Strait. */
export async function serveApprovals({ straitUrl, apiKey, port = 0 }: ApprovalsOptions): Promise<ApprovalsServer> {
  // Stands for the session of whoever is signed in. As no other site can read it, none can answer in their name.
  const pageToken = randomBytes(32).toString("base64url");
  const files = await buildFiles({ pageToken, straitUrl });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "/" } = request;
    const file = method === "GET" ? files.get(url) : undefined;
    if (file) return sendFile(response, file);
    const wanted = `${method} ${url.replace(/^\/strait/, "")}`;
    if (!url.startsWith("/strait/") || !ALLOWED.test(wanted)) return refuse(response, 404, "there is no such page");
    if (!holds(request, pageToken)) return refuse(response, 401, "sign in again: reload the page");
    const body = method === "POST" ? await readBody(request) : null;
    if (body === undefined) {
      return refuse(response, 413, `the body is larger than ${MAX_BODY_BYTES} bytes; shorten the reason`);
    }
    await passOn(request, response, wanted, body);
  }

  async function passOn(
    request: IncomingMessage,
    response: ServerResponse,
    wanted: string,
    body: string | null,
  ): Promise<void> {
    const [method = "", path = ""] = wanted.split(" ");
    const headers: Record<string, string> = { authorization: `Bearer ${apiKey}` };
    for (const name of PASSED_ON) {
      const value = request.headers[name];
      if (typeof value === "string") headers[name] = value;
    }
    const answered = await fetch(straitUrl + path, { method, headers, body, redirect: "error" });
    for (const name of PASSED_BACK) {
      const value = answered.headers.get(name);
      if (value !== null) response.setHeader(name, value);
    }
    response.writeHead(answered.status, { "cache-control": "no-store" }).end(await answered.text());
  }

  const http = createServer((request, response) => {
    answer(request, response).catch(() => refuse(response, 502, "Strait cannot be reached"));
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    close() {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}

/** Undefined when it is too large, whatever its Content-Length says: the rest of it is not kept. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return length > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString();
}

function sendFile(response: ServerResponse, { type, content, policy }: PageFile): void {
  response.writeHead(200, {
    "content-type": type,
    "content-security-policy": policy,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(content);
}

const CODES: Readonly<Record<number, string>> = { 401: "unauthorized", 404: "not_found", 413: "payload_too_large" };

/** In the form of Strait's own errors, so that the page has one form to read. */
function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) return void response.destroy();
  const code = CODES[status] ?? "unavailable";
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { code, message, details: {} } }));
}

function holds({ headers }: IncomingMessage, token: string): boolean {
  const given = Buffer.from(headers.authorization ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
