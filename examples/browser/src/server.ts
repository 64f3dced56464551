import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Client } from "@strait/ts";
import { pageOf } from "./page.ts";

/** Your own web server: it knows the API key, and who may see what; the page knows neither. */
export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves the page on any free port of 127.0.0.1. Each view gets a token of its own, which opens the stream of this event
 * key for five minutes.
 *
 * @param baseUrl - Where a browser reaches Strait.
 */
export async function servePage(client: Client<"bearer">, baseUrl: string, eventKey: string): Promise<PageServer> {
  const http = createServer((request, response) => {
    if (request.url !== "/") {
      response.writeHead(404).end();
      return;
    }
    client.operationsPromise.postV1StreamTokens({ body: { event_key: eventKey } }).then(
      ({ url }) => {
        response.writeHead(200, { "content-type": "text/html", "cache-control": "no-store" });
        response.end(pageOf(eventKey, baseUrl + url));
      },
      (error: Error) => response.writeHead(502).end(error.message),
    );
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(0, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    close() {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}
