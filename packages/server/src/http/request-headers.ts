import type { IncomingMessage } from "node:http";
import type { Context } from "hono";

/** The request as Node's own server has parsed it; undefined where another one calls. */
export function incomingOf(c: Context): IncomingMessage | undefined {
  return (c.env as { readonly incoming?: IncomingMessage } | undefined)?.incoming;
}

/** Reads a request header by its lower-case name. */
export type RequestHeaders = (name: string) => string | undefined;

/**
 * The headers of a request. Behind Node's own server they are read from the message that it has parsed: a web `Headers`
 * is made when somebody asks for it, and costs more than everything that is read from it.
 */
export function requestHeaders(c: Context): RequestHeaders {
  const incoming = incomingOf(c);
  if (incoming === undefined) return (name) => c.req.header(name);
  return (name) => {
    const value = incoming.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
}
