/** One event of a stream. */
export interface Frame {
  readonly event: string;
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  readonly data: any;
}

/** A stream of server-sent events, read one by one. */
export interface Stream {
  readonly status: number;
  readonly headers: Headers;
  /** Milliseconds after which the server wants a reader back, once it has said so. */
  readonly retryMs: number | undefined;
  /** The next event; undefined at the end. */
  next(): Promise<Frame | undefined>;
  /** Every event up to the end, without `keepalive`. */
  rest(): Promise<Frame[]>;
  leave(): Promise<void>;
}

export function readStream(response: Response): Stream {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let hasEnded = reader === undefined;
  let retryMs: number | undefined;

  async function next(): Promise<Frame | undefined> {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const fields = fieldsOf(text.slice(0, end));
        text = text.slice(end + 2);
        if (fields.has("retry")) retryMs = Number(fields.get("retry"));
        const data = fields.get("data");
        if (data === undefined) continue;
        return { event: fields.get("event") ?? "message", id: fields.get("id"), data: JSON.parse(data) };
      }
      if (hasEnded) return undefined;
      const chunk = await reader?.read();
      hasEnded = chunk?.done ?? true;
      text += chunk?.value ?? "";
    }
  }

  return {
    status: response.status,
    headers: response.headers,
    get retryMs() {
      return retryMs;
    },
    next,
    async rest() {
      const frames: Frame[] = [];
      for (let frame = await next(); frame; frame = await next()) if (frame.event !== "keepalive") frames.push(frame);
      return frames;
    },
    async leave() {
      await reader?.cancel();
    },
  };
}

function fieldsOf(block: string): Map<string, string> {
  return new Map(block.split("\n").map((line) => line.split(/: ?(.*)/s) as [string, string]));
}
