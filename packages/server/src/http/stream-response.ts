import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context } from "hono";
import { SSE_HEADERS } from "../wire/sse.ts";
import { nodeOutlet, webOutlet } from "./outlet.ts";
import type { EventStream } from "./streams.ts";

/** Answers with a stream: straight into the response of Node's own server where there is one. */
export function streamResponse(c: Context, stream: EventStream, headers: Readonly<Record<string, string>>): Response {
  if (c.req.method === "HEAD") {
    stream.lose();
    return new Response(null, { headers: { ...headers, ...SSE_HEADERS } });
  }
  const { outgoing } = (c.env ?? {}) as { readonly outgoing?: ServerResponse };
  if (outgoing === undefined) {
    let gone = () => {};
    const { outlet, body } = webOutlet(() => gone());
    stream.pipe((given) => {
      gone = given;
      return outlet;
    });
    return new Response(body, { headers: { ...headers, ...SSE_HEADERS } });
  }
  // The stream ends with its connection. Chunks would be three more pieces of each frame, for every reader.
  outgoing.useChunkedEncodingByDefault = false;
  outgoing.shouldKeepAlive = false;
  // What middleware has set, for which origins may read.
  const given = Object.fromEntries(c.res.headers);
  outgoing.writeHead(200, { ...given, ...headers, ...SSE_HEADERS });
  stream.pipe((gone) => nodeOutlet(outgoing, gone));
  return RESPONSE_ALREADY_SENT;
}
