import { onTestFinished, vi } from "vitest";
import type { RequestOptions, TestServer } from "./server.ts";

export interface Frame {
  readonly event: string;
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  readonly data: any;
}

export interface Reader {
  readonly response: Response;
  /** The next frame; undefined at the end of the stream. */
  next(): Promise<Frame | undefined>;
  /** Every frame up to the end. */
  rest(): Promise<Frame[]>;
  leave(): Promise<void>;
}

/** Reads a stream as an EventSource would, frame by frame. */
export async function open(strait: TestServer, path: string, options: RequestOptions = {}): Promise<Reader> {
  const response = await strait.fetch("GET", path, options);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let hasEnded = reader === undefined;
  async function next(): Promise<Frame | undefined> {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end !== -1) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        const frame = parse(block);
        if (frame) return frame;
      } else if (hasEnded) {
        return undefined;
      } else {
        const chunk = await reader?.read();
        hasEnded = chunk?.done ?? true;
        text += chunk?.value ?? "";
      }
    }
  }
  const leave = async () => reader?.cancel();
  onTestFinished(leave);
  return {
    response,
    next,
    async rest() {
      const frames: Frame[] = [];
      for (let frame = await next(); frame !== undefined; frame = await next()) frames.push(frame);
      return frames;
    },
    leave,
  };
}

/** Undefined for a block that is no event, such as `retry`. */
function parse(block: string): Frame | undefined {
  const fields = new Map(block.split("\n").map((line) => line.split(/: (.*)/s) as [string, string]));
  const data = fields.get("data");
  if (data === undefined) return undefined;
  return { event: fields.get("event") ?? "message", id: fields.get("id"), data: JSON.parse(data) };
}

/** How many topics are listened to, from now on. */
export function countSubscriptions(strait: TestServer): () => number {
  const { signals } = strait.server.context;
  const subscribe = signals.subscribe.bind(signals);
  let count = 0;
  vi.spyOn(signals, "subscribe").mockImplementation((topic, listener) => {
    const unsubscribe = subscribe(topic, listener);
    count++;
    return () => {
      count--;
      unsubscribe();
    };
  });
  return () => count;
}
