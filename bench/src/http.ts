// Both ends of HTTP that a contender with an API needs. They are the same for all, so that they cost all the same.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { type Dispatcher, Pool } from "undici";

/** Its calls resolve to the answer's body, and reject unless the status is 2xx. */
export interface ApiClient {
  get(path: string): Promise<string>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<string>;
  close(): Promise<void>;
}

/** @param keys - Whether to send an Idempotency-Key with every request. */
export function apiClient(origin: string, authorization: string, keys: boolean): ApiClient {
  const pool = new Pool(origin, { connections: 32 });
  const common = { "content-type": "application/json", authorization };
  const call = async (request: Dispatcher.RequestOptions) => {
    const answer = await pool.request(request);
    const text = await answer.body.text();
    if (answer.statusCode < 300) return text;
    throw new Error(`${request.method} ${request.path} answered ${answer.statusCode}: ${text}`);
  };
  return {
    get: (path) => call({ method: "GET", path, headers: { authorization } }),
    post: (path, body, headers) =>
      call({
        method: "POST",
        path,
        headers: { ...common, ...headers, ...(keys && { "idempotency-key": randomUUID() }) },
        body: JSON.stringify(body),
      }),
    close: () => pool.destroy(),
  };
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Endpoint {
  readonly url: string;
  close(): void;
}

/** Serves a handler on a free port, as a user's executor would. */
export async function serveHandler(
  handle: (body: unknown, headers: IncomingHttpHeaders) => Answer | Promise<Answer>,
): Promise<Endpoint> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      let answer: Answer;
      try {
        answer = await handle(JSON.parse(Buffer.concat(chunks).toString()), request.headers);
      } catch (error) {
        // Would be retried, and nobody would know why the numbers are what they are.
        console.error(error);
        answer = { status: 500, body: '"the handler failed"' };
      }
      response.writeHead(answer.status, { "content-type": "application/json", "content-length": answer.body.length });
      response.end(answer.body);
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/run`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
