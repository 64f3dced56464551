import type { Server as NodeServer, ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { expect, onTestFinished, test } from "vitest";
import { eventually, startServer, type TestServer } from "./server.ts";
import { send, startStage } from "./stage.ts";
import { countSubscriptions, open } from "./stream-reader.ts";

/** The server behind a port, and every response that it has begun. */
async function listen(strait: TestServer): Promise<{ port: number; responses: ServerResponse[] }> {
  const http = createAdaptorServer({ fetch: strait.server.fetch }) as NodeServer;
  const responses: ServerResponse[] = [];
  http.on("request", (_, response) => responses.push(response));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
  });
  return { port: (http.address() as AddressInfo).port, responses };
}

/** Opens a stream over a socket of its own, which is not read unless somebody does. */
function connectTo(port: number, path: string, token: string): Socket {
  const socket = connect({ port, host: "127.0.0.1" });
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer ${token}\r\n\r\n`);
  return socket;
}

const KIB = 1024;

test("T7 a reader that does not read is cut off before it holds more than a bounded number of bytes, and resumes", async () => {
  const strait = await startServer();
  const { port, responses } = await listen(strait);
  const run = await (await startStage(strait)).run({ large: "x".repeat(200 * KIB) });
  const subscribed = countSubscriptions(strait);
  const path = `/v1/runs/${run.id}/stream`;
  const first = await (await open(strait, path)).next();
  connectTo(port, path, strait.apiKey).pause();
  const response = await eventually(async () => subscribed() === 1 && responses[0]);

  let held = 0;
  let logs = 0;
  await eventually(async () => {
    await strait.request("POST", `/sdk/v1/runs/${run.id}/log`, { token: run.token, body: { message: String(++logs) } });
    held = Math.max(held, response.writableLength);
    return response.destroyed;
  });

  expect(held).toBeLessThan(700 * KIB);
  const resumed = await open(strait, `${path}?cursor=${first?.id}`);
  for (let n = 0; n < logs; n++) expect((await resumed.next())?.event).toBe("status");
});

test("T7 a reader that reads gets all that it missed, however much that is", async () => {
  const strait = await startServer();
  const { port } = await listen(strait);
  const run = await (await startStage(strait)).run({ large: "x".repeat(100 * KIB) });
  const path = `/v1/runs/${run.id}/stream`;
  const first = await (await open(strait, path)).next();
  for (let n = 0; n < 30; n++) {
    await strait.request("POST", `/sdk/v1/runs/${run.id}/log`, { token: run.token, body: { message: String(n) } });
  }

  const socket = connectTo(port, `${path}?cursor=${first?.id}`, strait.apiKey);
  let text = "";
  for await (const chunk of socket.setEncoding("latin1")) {
    text += chunk;
    if (text.split("event: status").length > 30) break;
  }

  expect(text.match(/^event: \w+$/gm)).toEqual(Array(30).fill("event: status"));
});

test("a connection that is closed frees what its stream held", async () => {
  const strait = await startServer();
  const { port } = await listen(strait);
  await (await startStage(strait)).parked("k");
  const subscribed = countSubscriptions(strait);
  const socket = connectTo(port, "/v1/events/k/stream", strait.apiKey);
  await eventually(async () => subscribed() === 1);

  socket.destroy();

  await eventually(async () => subscribed() === 0);
});

test("ST-15 over a connection the stream closes at the end, with the headers of a stream", async () => {
  const strait = await startServer({ env: { CORS_ALLOWED_ORIGINS: "https://app.example.com" } });
  const { port } = await listen(strait);
  await (await startStage(strait)).parked("k");

  const response = await fetch(`http://127.0.0.1:${port}/v1/events/k/stream?token=${strait.apiKey}`, {
    headers: { origin: "https://app.example.com" },
  });
  await send(strait, "k", { approved: true });
  const text = await response.text();

  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
    connection: "close",
    "access-control-allow-origin": "https://app.example.com",
    "x-request-id": expect.any(String),
  });
  expect(text).toMatch(/^retry: 1000\n\nevent: status\n/);
  expect(text).toMatch(/"status":"received".*\n\nevent: end\ndata: \{\}\n\n$/);
});
