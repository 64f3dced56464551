import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { createMockServer } from "@strait/msw";
import { createClient } from "@strait/ts";
import type { World } from "./world.ts";

const apiKey = "strait_mocked_0123456789";

/** The mock server behind a port, so that a browser reaches it. */
export async function startMockedWorld(): Promise<World> {
  const baseUrl = "https://strait.mocked";
  const mock = createMockServer({ baseUrl, keepaliveMs: 500 });
  const { operationsPromise: strait } = createClient({
    baseUrl,
    auth: { type: "bearer", token: apiKey },
    fetch: mock.fetch,
  });
  await strait.postV1Jobs({ body: { name: "Ask", slug: "ask", endpoint_url: "https://executor.mocked/ask" } });
  const { url: straitUrl, close } = await serve((path, init) => mock.fetch(baseUrl + path, init));

  return {
    straitUrl,
    apiKey,
    async ask({ key: event_key, asks: request_payload, timeoutSecs: timeout_secs }) {
      const run = await strait.postV1JobsByJobIDTrigger({ pathParams: { jobID: "ask" }, body: {} });
      if (!("id" in run)) throw new Error("a dry run asks nothing");
      // In the place of the job's code, which nobody runs here.
      const auth = { type: "runToken", token: run.run_token ?? "" } as const;
      await createClient({ baseUrl, auth, fetch: mock.fetch }).operationsPromise.postSdkV1RunsByRunIDWaitForEvent({
        pathParams: { runID: run.id },
        body: { event_key, request_payload, timeout_secs },
      });
    },
    async close() {
      mock.close();
      await close();
    },
  };
}

/** Answers over HTTP what `fetch` answers. Pages of other origins may read it, as on a real server. */
async function serve(fetch: (path: string, init: RequestInit) => Promise<Response>) {
  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const aborted = new AbortController();
    response.on("close", () => aborted.abort());
    const { method = "GET", url = "/" } = incoming;
    const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
    const body = method === "GET" ? null : await text(incoming);
    const answered = await fetch(url, { method, headers, body, signal: aborted.signal });
    response.writeHead(answered.status, {
      ...Object.fromEntries(answered.headers),
      "access-control-allow-origin": "*",
    });
    if (!answered.body) return void response.end();
    Readable.fromWeb(answered.body as never)
      .on("error", () => response.destroy())
      .pipe(response);
  }

  const http = createServer((incoming, response) => void answer(incoming, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    close() {
      http.closeAllConnections();
      return new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}
