import type { Context } from "../service/context.ts";
import { epoch } from "../store/changes.ts";
import { END, encodeFrame, KEEPALIVE, RETRY } from "../wire/sse.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import type { Reader } from "./live-stream.ts";
import type { Outlet } from "./outlet.ts";
import type { StreamHub } from "./stream-hub.ts";
import type { Delta, Deltas, StreamSource } from "./stream-source.ts";

/** A stream that a request has opened. */
export interface EventStream {
  /** Sends everything to the reader. Called once, at once; `gone` is to be called when the reader has gone. */
  pipe(connect: (gone: () => void) => Outlet): void;
  /** Ends it for its reader. Called instead of `pipe` where there is none. */
  lose(): void;
}

export interface StreamRequest {
  readonly projectId: string;
  /** Wins over the query's: a browser that connects again repeats the query, and says in the header how far it has come. */
  readonly lastEventId: string | undefined;
  readonly cursor: string | undefined;
}

/** A reader may be so many bytes behind, and one frame; then it is cut off, and resumes by its cursor (T7). */
const MAX_PENDING = 256 * 1024;
/** When the others have been told what cannot be read here yet. */
const RETRY_MS = 20;

/**
 * Opens a stream: a snapshot, then every change behind it with an id, a named keepalive, and `end` at a terminal state
 * (T1). With a cursor it goes on behind it; where that is not known any more, or was another life of the database, it
 * says `reset` and starts with a snapshot (T3).
 *
 * @returns Undefined when the cursor is at the end of something that has ended: 204, which stops an EventSource.
 * @throws {StraitError} `validation_error` for a cursor of another stream, `rate_limited` when the project has too many.
 */
export async function openStream(
  hub: StreamHub,
  { db }: Pick<Context, "db">,
  source: StreamSource,
  { projectId, lastEventId, cursor }: StreamRequest,
): Promise<EventStream | undefined> {
  const life = await epoch(db);
  const resumed =
    lastEventId === undefined
      ? cursor === undefined
        ? undefined
        : decodeCursor(source, life, cursor, "/query/cursor")
      : decodeCursor(source, life, lastEventId, "/headers/Last-Event-ID");
  const known = resumed?.isOfThisLife ? await source.deltasAfter(resumed.position) : undefined;
  if (known?.isTerminal && known.deltas.length === 0) return undefined;

  const start = known && resumed ? { position: resumed.position, next: known } : undefined;
  const session = new Session(hub, source, life, start, resumed === undefined ? "status" : "reset");
  session.leave = hub.enter(projectId, () => session.lose());
  return session;
}

interface Place {
  readonly position: string;
  /** What was read behind it. */
  readonly next: Deltas;
}

/** One reader, from its first frame to its last. */
class Session implements EventStream, Reader {
  /** Gives back what the session holds of the process. */
  leave: () => void = () => {};
  readonly #hub: StreamHub;
  readonly #source: StreamSource;
  readonly #life: string;
  #start: Place | undefined;
  readonly #opening: "status" | "reset";
  #outlet: Outlet | undefined;
  #keepalive: NodeJS.Timeout | undefined;
  #leaveLive: (() => void) | undefined;
  #hasEnded = false;

  constructor(
    hub: StreamHub,
    source: StreamSource,
    life: string,
    start: Place | undefined,
    opening: "status" | "reset",
  ) {
    this.#hub = hub;
    this.#source = source;
    this.#life = life;
    this.#start = start;
    this.#opening = opening;
  }

  pipe(connect: (gone: () => void) => Outlet): void {
    const outlet = connect(() => this.#stop());
    this.#outlet = outlet;
    if (this.#hasEnded) {
      outlet.end();
      return;
    }
    outlet.write(RETRY);
    this.#keepalive = setInterval(() => this.tell(KEEPALIVE), this.#hub.keepaliveMs).unref();
    this.#catchUp(outlet).catch((error: unknown) => {
      if (this.#hasEnded) return;
      this.#hub.onError(error);
      this.#cut();
    });
  }

  tell(frame: Uint8Array): void {
    const outlet = this.#outlet;
    if (this.#hasEnded || outlet === undefined) return;
    if (outlet.pending > MAX_PENDING) {
      this.#cut();
    } else {
      outlet.write(frame);
      this.#keepalive?.refresh();
    }
  }

  end(): void {
    this.tell(END);
    this.lose();
  }

  lose(): void {
    this.#stop();
    this.#outlet?.end();
  }

  /** Tells what the others have been told, as fast as the reader takes it, and joins them. */
  async #catchUp(outlet: Outlet): Promise<void> {
    let { position, next } = this.#start ?? (await this.#snapshot());
    this.#start = undefined;
    for (;;) {
      for (const delta of next.deltas) {
        this.#tellDelta("status", delta);
        position = delta.position;
        await outlet.drained();
        if (this.#hasEnded) return;
      }
      if (this.#hasEnded) return;
      if (next.isTerminal) return this.end();
      this.#leaveLive = this.#hub.join(this.#source, this.#life, position, this);
      if (this.#leaveLive !== undefined) return;
      const behind = await this.#source.deltasAfter(position);
      if (behind === undefined) return this.lose();
      if (behind.deltas.length === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      next = behind;
    }
  }

  async #snapshot(): Promise<Place> {
    const { isTerminal, ...delta } = await this.#source.snapshot();
    this.#tellDelta(this.#opening, delta);
    return { position: delta.position, next: { deltas: [], isTerminal, hasMore: false } };
  }

  #tellDelta(event: "status" | "reset", { position, data }: Delta): void {
    this.tell(encodeFrame({ event, id: encodeCursor(this.#source.name, this.#life, position), data }));
  }

  #cut(): void {
    this.#stop();
    this.#outlet?.destroy();
  }

  #stop(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearInterval(this.#keepalive);
    this.#leaveLive?.();
    this.leave();
  }
}
