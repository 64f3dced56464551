// A server that answers every request with the same trigger, in a process of its own, so that its CPU is not the clients'.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answer } from "./answer.ts";

const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length });
    response.end(answer);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));
