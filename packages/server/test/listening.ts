import { once } from "node:events";
import { onTestFinished } from "vitest";
import { createNodeServer } from "../src/http/node-server.ts";
import type { TestServer } from "./server.ts";

/** Puts the server behind Node's own, on a port. */
export async function listening({ server }: Pick<TestServer, "server">, requestTimeoutMs = 30_000): Promise<number> {
  const http = createNodeServer({ fetch: (request, env) => server.fetch(request, env), requestTimeoutMs });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
  });
  const address = http.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
