import type { StreamEvent } from "@strait/contract";

const encoder = new TextEncoder();
/** Milliseconds after which a browser reconnects. */
const RETRY_MS = 1_000;
/** Frames that may wait for a slow reader; then it is cut off, and resumes by its cursor (T7). */
const MAX_QUEUED = 256;

/** One frame. Data is one line of JSON, so nothing in it can begin another frame. */
function encodeFrame({ event, id, data }: StreamEvent): string {
  return `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** A stream of events as a `text/event-stream` response. Aborting `stop` ends the source when the reader goes away. */
export function sseResponse(
  events: AsyncIterable<StreamEvent>,
  stop: AbortController,
  headers: Record<string, string>,
  onError: (error: unknown) => void,
): Response {
  const iterator = events[Symbol.asyncIterator]();
  let hasLeft = false;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n`));
        void pump(controller);
      },
      cancel() {
        hasLeft = true;
        stop.abort();
      },
    },
    { highWaterMark: MAX_QUEUED },
  );

  async function pump(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
        if ((controller.desiredSize ?? 0) <= 0) break;
        controller.enqueue(encoder.encode(encodeFrame(next.value)));
      }
      if (!hasLeft) controller.close();
    } catch (error) {
      if (hasLeft) return;
      if (!stop.signal.aborted) onError(error);
      controller.error(error);
    } finally {
      stop.abort();
      await iterator.return?.();
    }
  }

  return new Response(body, {
    headers: {
      ...headers,
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    },
  });
}
