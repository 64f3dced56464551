import { rateLimited } from "../domain/errors.ts";
import type { Context } from "../service/context.ts";
import * as changes from "../store/changes.ts";
import { LiveStream, type Reader } from "./live-stream.ts";
import type { StreamSource } from "./stream-source.ts";

/** Everything that is being followed through this process. */
export interface StreamHub {
  readonly keepaliveMs: number;
  readonly onError: (error: unknown) => void;
  /**
   * Takes one of the project's places; the result gives it back.
   *
   * @param close - Called when the process stops.
   * @throws {StraitError} `rate_limited` when all places are taken (T7).
   */
  enter(projectId: string, close: () => void): () => void;
  /**
   * From now on `reader` gets what lies behind `position`.
   *
   * @returns How to leave; undefined when the others have been told more than this already: catch up first.
   */
  join(source: StreamSource, life: string, position: string, reader: Reader): (() => void) | undefined;
  /** Ends all streams; their readers resume elsewhere. */
  close(): void;
}

export interface StreamHubOptions {
  readonly keepaliveMs: number;
  readonly maxPerProject: number;
  readonly onError: (error: unknown) => void;
}

/** A lost hint costs at most this much (T5). */
const POLL_MS = 1_000;
/** Most streams last for minutes, so a place is not free at once. */
const RETRY_AFTER_SECS = 5;

export function streamHub(
  { db, signals }: Pick<Context, "db" | "signals">,
  { keepaliveMs, maxPerProject, onError }: StreamHubOptions,
): StreamHub {
  const places = new Map<string, number>();
  const open = new Set<() => void>();
  const live = new Map<string, LiveStream>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  /** One statement for all that is followed, however many follow it. */
  async function poll(): Promise<void> {
    try {
      const watched = [...live.values()].map((each) => each.watched());
      for (const name of await changes.moved(db, watched)) live.get(name)?.look();
    } catch (error) {
      if (!isClosed) onError(error);
    }
    pollAgain();
  }

  function pollAgain(): void {
    timer = live.size === 0 || isClosed ? undefined : setTimeout(poll, POLL_MS).unref();
  }

  function begin(source: StreamSource, life: string, position: string): LiveStream {
    const unsubscribe = signals.subscribe(source.topic, () => stream.look());
    const stream = new LiveStream(source, life, position, {
      onError,
      onEnd() {
        unsubscribe();
        live.delete(source.name);
      },
    });
    live.set(source.name, stream);
    if (timer === undefined) pollAgain();
    return stream;
  }

  return {
    keepaliveMs,
    onError,
    enter(projectId, close) {
      const taken = places.get(projectId) ?? 0;
      if (taken >= maxPerProject) throw rateLimited(`the project has ${taken} open streams here`, RETRY_AFTER_SECS);
      places.set(projectId, taken + 1);
      open.add(close);
      return () => {
        if (!open.delete(close)) return;
        const left = (places.get(projectId) ?? 0) - 1;
        if (left > 0) places.set(projectId, left);
        else places.delete(projectId);
      };
    },
    join(source, life, position, reader) {
      const stream = live.get(source.name) ?? begin(source, life, position);
      if (source.isBehind(stream.position, position)) return undefined;
      return stream.join(position, reader);
    },
    close() {
      isClosed = true;
      for (const end of open) end();
      clearTimeout(timer);
    },
  };
}
