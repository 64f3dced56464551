import { EventSourceParserStream } from "eventsource-parser/stream";

/** The latest state of something that a server streams. */
export interface Live<State> {
  /** Resolves with the first state that `holds`, from the present one on. @throws {Error} When the stream ends before. */
  until(holds: (state: State) => boolean): Promise<State>;
}

/**
 * Follows a stream of server-sent events: the state as it is now, then every later one.
 *
 * @param show - Called with each state.
 */
export function follow<State>(
  { url, apiKey, signal }: { readonly url: string; readonly apiKey: string; readonly signal: AbortSignal },
  show: (state: State) => void,
): Live<State> {
  let latest: State | undefined;
  let ended: Error | undefined;
  const watchers = new Set<() => void>();
  const tell = () => {
    for (const watcher of [...watchers]) watcher();
  };

  async function read(): Promise<void> {
    const response = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` }, signal });
    if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`);
    const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    for await (const { event, data } of events) {
      if (event !== "status") continue;
      latest = JSON.parse(data) as State;
      show(latest);
      tell();
    }
    throw new Error("the stream ended");
  }
  read().catch((error: Error) => {
    ended = error;
    tell();
  });

  return {
    until: (holds) =>
      new Promise((resolve, reject) => {
        const watcher = () => {
          const isThere = latest !== undefined && holds(latest);
          if (!isThere && ended === undefined) return;
          watchers.delete(watcher);
          if (isThere) resolve(latest as State);
          else reject(ended);
        };
        watchers.add(watcher);
        watcher();
      }),
  };
}
