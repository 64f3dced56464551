import { createParser, type EventSourceMessage } from "eventsource-parser";

/** The stream held an event that is larger than allowed. */
export class EventTooLarge extends Error {}

export interface ReadOptions {
  readonly maxEventBytes: number;
  /** Ends the reading, also where `fetch` does not honor it. */
  readonly signal?: AbortSignal | undefined;
  /** The server has said after how many milliseconds to come back. */
  onRetry?(delayMs: number): void;
  /** Bytes have arrived, whether or not they complete an event. */
  onActivity?(): void;
}

/**
 * Reads server-sent events from a body, which it cancels when it is done or stopped.
 *
 * @throws {EventTooLarge} When what is buffered of one event exceeds the limit. What the body throws comes through.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  { maxEventBytes, signal, onRetry, onActivity }: ReadOptions,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  const messages: EventSourceMessage[] = [];
  let isTooLarge = false;
  const parser = createParser({
    maxBufferSize: maxEventBytes,
    onEvent: (message) => messages.push(message),
    onRetry,
    onError: ({ type }) => {
      isTooLarge ||= type === "max-buffer-size-exceeded";
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => {});
  signal?.addEventListener("abort", cancel);
  let last = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // The parser holds a final CR back, since a LF might follow; nothing does.
      const text = done ? (last.endsWith("\r") ? "\n" : "") : decoder.decode(value, { stream: true });
      if (!done) onActivity?.();
      if (text !== "") {
        parser.feed(text);
        last = text;
      }
      for (const message of messages) yield message;
      messages.length = 0;
      if (isTooLarge) throw new EventTooLarge();
      if (done) return;
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
    cancel();
  }
}
