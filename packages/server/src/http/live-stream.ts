import type { Watched } from "../store/changes.ts";
import { encodeFrame } from "../wire/sse.ts";
import { encodeCursor } from "./cursor.ts";
import type { StreamSource } from "./stream-source.ts";

/** Who follows a stream. */
export interface Reader {
  tell(frame: Uint8Array): void;
  /** Nothing follows. */
  end(): void;
  /** It cannot be said what follows: the reader has to come again, with its cursor. */
  lose(): void;
}

interface LiveStreamEvents {
  onError(error: unknown): void;
  /** The stream has ended, or its last reader has left. */
  onEnd(): void;
}

/** Milliseconds after which what an older transaction held up is looked for again, at first and at most. */
const UNSETTLED_MS = { first: 20, most: 1_000 } as const;

/** Reads what happens to one thing, once for all who follow it. */
export class LiveStream {
  /** How far everybody has been told. */
  position: string;
  readonly #source: StreamSource;
  readonly #life: string;
  readonly #events: LiveStreamEvents;
  /** With the position up to which a reader has seen more than the others, where it has. */
  readonly #readers = new Map<Reader, string | undefined>();
  #isLooking = false;
  #mustLookAgain = false;
  #waitMs: number = UNSETTLED_MS.first;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(source: StreamSource, life: string, position: string, events: LiveStreamEvents) {
    this.#source = source;
    this.#life = life;
    this.position = position;
    this.#events = events;
    // What was committed before the hints were listened to.
    this.look();
  }

  watched(): Watched {
    return this.#source.watched(this.position);
  }

  /** @param position - The stream's own, or behind it. */
  join(position: string, reader: Reader): () => void {
    this.#readers.set(reader, this.#source.isBehind(position, this.position) ? position : undefined);
    return () => {
      this.#readers.delete(reader);
      if (this.#readers.size === 0) this.#end();
    };
  }

  /** Reads what is new. Called during a look, it causes another one. */
  look(): void {
    if (this.#isLooking) this.#mustLookAgain = true;
    else if (!this.#hasEnded) void this.#lookUntilQuiet();
  }

  async #lookUntilQuiet(): Promise<void> {
    this.#isLooking = true;
    clearTimeout(this.#timer);
    try {
      do {
        this.#mustLookAgain = false;
        await this.#lookOnce();
      } while (this.#mustLookAgain && !this.#hasEnded);
    } catch (error) {
      // The poll brings it back here.
      if (!this.#hasEnded) this.#events.onError(error);
    }
    this.#isLooking = false;
  }

  async #lookOnce(): Promise<void> {
    const next = await this.#source.deltasAfter(this.position);
    if (next === undefined) return this.#close((reader) => reader.lose());
    for (const { data, position } of next.deltas) {
      const id = encodeCursor(this.#source.name, this.#life, position);
      const frame = encodeFrame({ event: "status", id, data });
      this.position = position;
      for (const [reader, seen] of this.#readers) {
        if (seen === undefined) reader.tell(frame);
        else if (this.#source.isBehind(position, seen)) this.#catchUp(reader, frame);
      }
    }
    if (next.isTerminal) this.#close((reader) => reader.end());
    else if (next.deltas.length > 0 && next.hasMore) this.#mustLookAgain = true;
    else if (next.hasMore) this.#lookLater();
    if (next.deltas.length > 0) this.#waitMs = UNSETTLED_MS.first;
  }

  #catchUp(reader: Reader, frame: Uint8Array): void {
    this.#readers.set(reader, undefined);
    reader.tell(frame);
  }

  /** Most transactions are over at once; one that is not must not cost a query each 20 ms. */
  #lookLater(): void {
    this.#timer = setTimeout(() => this.look(), this.#waitMs).unref();
    this.#waitMs = Math.min(this.#waitMs * 2, UNSETTLED_MS.most);
  }

  #close(tell: (reader: Reader) => void): void {
    const readers = [...this.#readers.keys()];
    this.#end();
    for (const reader of readers) tell(reader);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#readers.clear();
    this.#events.onEnd();
  }
}
