import type { StreamEvent } from "@strait/contract";
import { validationError } from "../domain/errors.ts";
import type { Context } from "../service/context.ts";
import { epoch } from "../store/changes.ts";
import type { Topic } from "../store/channel.ts";

/** What a stream shows now, and how far that is. */
export interface Snapshot {
  readonly data: unknown;
  /** The place of the last change that `data` contains. */
  readonly position: string;
  readonly isTerminal: boolean;
}

export interface Delta {
  readonly data: unknown;
  readonly position: string;
}

/** Where a stream reads. Positions are opaque texts that the source itself can compare. */
export interface StreamSource {
  /** Names the stream in its cursors, so that a foreign one is refused. */
  readonly name: string;
  readonly topic: Topic;
  /** What its positions look like: a cursor comes from outside. */
  readonly positions: RegExp;
  snapshot(): Promise<Snapshot>;
  /** Every change behind `position`, once and in order; undefined when the position is not known any more. */
  deltasAfter(position: string): Promise<{ readonly deltas: Delta[]; readonly isTerminal: boolean } | undefined>;
}

export interface StreamRequest {
  /** `Last-Event-ID`, or else `?cursor=`. */
  readonly cursor: string | undefined;
  readonly keepaliveMs: number;
  readonly signal: AbortSignal;
}

/** A lost hint costs at most this much. */
const POLL_MS = 1_000;
/** A feed may be read only below the oldest running transaction; it is looked at again this soon. */
const UNSETTLED_MS = 20;

/**
 * Opens a stream: a snapshot, then every change behind it with an id, a named keepalive, and `end` at a terminal state.
 * With a cursor it goes on behind it; with one of another life of the database it says `reset` and starts with a snapshot.
 *
 * @returns Undefined when the cursor is at the end of something that has ended: 204, which stops an EventSource.
 * @throws {StraitError} `validation_error` for a cursor of another stream.
 */
export async function openStream(
  { db, signals }: Pick<Context, "db" | "signals">,
  source: StreamSource,
  request: StreamRequest,
): Promise<AsyncIterable<StreamEvent> | undefined> {
  const life = await epoch(db);
  const resumed = request.cursor === undefined ? undefined : decode(source, request.cursor);
  const isSameLife = resumed?.life === life.slice(0, 8);
  const known = resumed && isSameLife ? await source.deltasAfter(resumed.position) : undefined;
  if (known?.isTerminal && known.deltas.length === 0) return undefined;

  // Subscribed before anything is read, so that no change falls in between; a hint that comes meanwhile is remembered.
  const hint = hints(signals.subscribe.bind(signals, source.topic), request.signal);
  const frame = (event: "status" | "reset", delta: Delta): StreamEvent => ({
    event,
    id: encode(source.name, life, delta.position),
    data: delta.data,
  });

  async function* events(): AsyncGenerator<StreamEvent> {
    let position = resumed?.position ?? "";
    let isTerminal = false;
    if (known === undefined) {
      const snapshot = await source.snapshot();
      yield frame(resumed === undefined ? "status" : "reset", snapshot);
      position = snapshot.position;
      isTerminal = snapshot.isTerminal;
    }
    let quietSince = Date.now();
    let wasTold = false;
    let toldAt = 0;
    while (!isTerminal && !request.signal.aborted) {
      const next = await source.deltasAfter(position);
      for (const delta of next?.deltas ?? []) {
        yield frame("status", delta);
        position = delta.position;
        quietSince = Date.now();
      }
      if (next?.isTerminal) break;
      if (Date.now() - quietSince >= request.keepaliveMs) {
        yield { event: "keepalive", data: {} };
        quietSince = Date.now();
      }
      // Told of a change that may not be read yet: an older transaction still runs, and will not for long.
      const isEarly: boolean = wasTold && next?.deltas.length === 0;
      const untilKeepalive = Math.max(1, quietSince + request.keepaliveMs - Date.now());
      wasTold = await hint.wait(Math.min(isEarly ? UNSETTLED_MS : POLL_MS, untilKeepalive));
      wasTold ||= isEarly && Date.now() - toldAt < POLL_MS;
      if (wasTold && !isEarly) toldAt = Date.now();
    }
    if (!request.signal.aborted) yield { event: "end", data: {} };
  }

  return {
    async *[Symbol.asyncIterator]() {
      try {
        yield* events();
      } finally {
        hint.stop();
      }
    },
  };
}

function hints(subscribe: (listener: () => void) => () => void, signal: AbortSignal) {
  let isPending = false;
  let wake = () => {};
  const unsubscribe = subscribe(() => {
    isPending = true;
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort);
  return {
    /** Whether there was a hint, now or since the last time. */
    async wait(ms: number): Promise<boolean> {
      if (!isPending && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = () => {};
      }
      const wasTold = isPending;
      isPending = false;
      return wasTold;
    },
    stop() {
      unsubscribe();
      signal.removeEventListener("abort", onAbort);
    },
  };
}

function encode(name: string, life: string, position: string): string {
  return Buffer.from(`${name}|${life.slice(0, 8)}|${position}`).toString("base64url");
}

function decode({ name, positions }: StreamSource, cursor: string): { life: string; position: string } {
  const [given, life, position, ...rest] = Buffer.from(cursor, "base64url").toString().split("|");
  if (given !== name || life === undefined || position === undefined || rest.length > 0 || !positions.test(position)) {
    throw validationError([
      {
        field: "/query/cursor",
        rule: "cursor",
        fix: "pass the id of the last event that this stream sent, or leave it out to start with a snapshot",
      },
    ]);
  }
  return { life, position };
}
