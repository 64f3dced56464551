import type { StreamEvent } from "@strait/contract";

const encoder = new TextEncoder();
/** Milliseconds after which a browser reconnects. */
const RETRY_MS = 1_000;

/** One frame. Data is one line of JSON, so nothing in it can begin another frame. */
export function encodeFrame({ event, id, data }: StreamEvent): Uint8Array {
  return encoder.encode(`event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
}

export const RETRY = encoder.encode(`retry: ${RETRY_MS}\n\n`);
export const KEEPALIVE = encodeFrame({ event: "keepalive", data: {} });
export const END = encodeFrame({ event: "end", data: {} });

export const SSE_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;
