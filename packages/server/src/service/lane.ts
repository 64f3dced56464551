import { unavailable } from "../domain/errors.ts";
import { isConnectionLoss, isLockTimeout, isTransient, sqlState } from "../store/database.ts";
import { limiter } from "./limiter.ts";

/** What became of one item of a batch. */
export type Outcome<Answer> =
  | { readonly ok: true; readonly value: Answer }
  | { readonly ok: false; readonly error: unknown };

export const done = <Answer>(value: Answer): Outcome<Answer> => ({ ok: true, value });
export const refused = (error: unknown): Outcome<never> => ({ ok: false, error });

export interface LaneOptions<Item, Answer> {
  /**
   * Handles a batch and answers for each item, in order. Items that it refuses with an error of the database that may pass
   * are handled again, and all of them where it throws one. They come with `repeated`: part of that call may have been
   * committed, and after a broken connection nobody knows.
   */
  run(items: readonly Item[], repeated: boolean): Promise<readonly Outcome<Answer>[]>;
  /** Bytes that an item adds to a batch. */
  sizeOf(item: Item): number;
  /** Names what an item locks together with others; null where there is nothing of the kind. */
  subjectOf(item: Item): string | null;
  /** How long an item is tried while somebody holds what it locks. 3 s by default. */
  readonly patienceMs?: number;
  /** What may be without an answer at a time; absent where those who add are limited themselves. */
  readonly capacity?: Capacity;
}

export interface Capacity {
  readonly items: number;
  readonly bytes: number;
}

/**
 * Of a lane that requests add to, several seconds' work: what came behind it would be answered when nobody listens any
 * more. Bytes are those of the text, and what was parsed of it takes several times as much of the memory.
 */
export const REQUESTS: Capacity = { items: 10_000, bytes: 64 * 1024 * 1024 };

/** Beyond these a batch gains nothing and holds its locks longer (L2). */
const MAX_ITEMS = 500;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_REPEATS = 8;
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1_000;

/** What a transaction of a lane waits for a lock: longer than another batch holds it, and shorter than anybody notices. */
export const LOCK_TIMEOUT_MS = 250;
/** Ten tries and more, and an answer before a client of usual patience has gone away. */
const PATIENCE_MS = 3_000;
/** Tries that wait for locks at once: each has a connection, and those of the pool are for everybody. */
const MAX_BLOCKED = 4;

/** Handles items in batches; each caller waits for its own answer. */
export interface Batched<Item, Answer> {
  /** Rejects with `unavailable` at once when there is no room for it. */
  add(item: Item): Promise<Answer>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

interface Entry<Item, Answer> {
  readonly item: Item;
  readonly bytes: number;
  readonly since: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Of items that lock nothing together with others. */
const NO_SUBJECT = Symbol("no subject");

/**
 * Commits in batches made of what has piled up: while one batch runs, arrivals gather for the next, and there is no timer,
 * so a single item is not delayed (L1).
 *
 * One item never harms another (L2): the batch that a bad value spoils is halved down to the culprit. A batch that cannot
 * get a lock is set aside and tried again subject by subject, so that the lane goes on; what arrives for such a subject
 * meanwhile waits behind it.
 */
export class Lane<Item, Answer> implements Batched<Item, Answer> {
  readonly #options: LaneOptions<Item, Answer>;
  readonly #blocked = limiter(MAX_BLOCKED);
  /** What was set aside, by its subject, each in the order of arrival. */
  readonly #aside = new Map<string | symbol, Entry<Item, Answer>[]>();
  readonly #retries = new Set<Promise<void>>();
  #waiting: Entry<Item, Answer>[] = [];
  #running: Promise<void> | undefined;
  /** Of everything that has no answer yet. */
  #items = 0;
  #bytes = 0;

  constructor(options: LaneOptions<Item, Answer>) {
    this.#options = options;
  }

  add(item: Item): Promise<Answer> {
    const bytes = this.#options.sizeOf(item);
    const { items = Infinity, bytes: room = Infinity } = this.#options.capacity ?? {};
    // The first is taken whatever its size: it would never find more room.
    if (this.#items >= items || (this.#items > 0 && this.#bytes + bytes > room)) return Promise.reject(noRoom());
    this.#items++;
    this.#bytes += bytes;
    const leave = () => {
      this.#items--;
      this.#bytes -= bytes;
    };
    return new Promise((succeed, fail) => {
      const entry: Entry<Item, Answer> = {
        item,
        bytes,
        since: performance.now(),
        resolve(answer) {
          leave();
          succeed(answer);
        },
        reject(error) {
          leave();
          fail(error);
        },
      };
      const subject = this.#aside.size === 0 ? null : this.#options.subjectOf(item);
      const aside = subject === null ? undefined : this.#aside.get(subject);
      if (aside) {
        aside.push(entry);
        return;
      }
      this.#waiting.push(entry);
      this.#running ??= this.#drain();
    });
  }

  async idle(): Promise<void> {
    while (this.#items > 0) await Promise.all([this.#running, ...this.#retries, turn()]);
  }

  async #drain(): Promise<void> {
    // What arrives in this turn of the event loop belongs to the first batch.
    await turn();
    while (this.#waiting.length > 0) this.#setAside(await this.#handle(this.#take(this.#waiting), false));
    this.#running = undefined;
  }

  #take(entries: Entry<Item, Answer>[]): Entry<Item, Answer>[] {
    let total = 0;
    let count = 0;
    for (const { bytes } of entries) {
      total += bytes;
      if (count > 0 && (count === MAX_ITEMS || total > MAX_BYTES)) break;
      count++;
    }
    return entries.splice(0, count);
  }

  /** Answers for the batch, but for those that could not get a lock: it returns them. */
  async #handle(batch: readonly Entry<Item, Answer>[], repeated: boolean): Promise<readonly Entry<Item, Answer>[]> {
    let open = batch;
    for (let tries = 1; ; tries++) {
      const { failed, error } = await this.#try(open, repeated || tries > 1);
      if (failed.length === 0) return [];
      if (isLockTimeout(error)) return failed;
      if (isBadValue(error)) return this.#halve(failed, error);
      if (tries === MAX_REPEATS) {
        for (const entry of failed) entry.reject(gaveUp(error));
        return [];
      }
      if (isConnectionLoss(error)) await pause(FIRST_BACKOFF_MS * 2 ** (tries - 1));
      open = failed;
    }
  }

  /** Answers for those of the batch that need no other try. */
  async #try(
    batch: readonly Entry<Item, Answer>[],
    repeated: boolean,
  ): Promise<{ failed: readonly Entry<Item, Answer>[]; error?: unknown }> {
    const items = batch.map(({ item }) => item);
    const outcomes = await this.#options
      .run(items, repeated)
      .catch((error: unknown): Outcome<Answer>[] => items.map(() => refused(error)));
    const failed: Entry<Item, Answer>[] = [];
    const answers: (() => void)[] = [];
    let last: unknown;
    for (const [index, entry] of batch.entries()) {
      const outcome = outcomes[index] ?? refused(new Error("a batch answered for fewer items than it was given"));
      if (outcome.ok) answers.push(() => entry.resolve(outcome.value));
      else if (isWorthAnotherTry(outcome.error)) {
        failed.push(entry);
        last = outcome.error;
      } else entry.reject(outcome.error);
    }
    // The dispatches that the batch has started leave at the end of this turn of the event loop, and the answers after them:
    // what waits for an event should not also wait until its sender has been told.
    if (answers.length > 0)
      void turn().then(() => {
        for (const answer of answers) answer();
      });
    return { failed, error: last };
  }

  async #halve(batch: readonly Entry<Item, Answer>[], error: unknown): Promise<readonly Entry<Item, Answer>[]> {
    if (batch.length === 1) {
      batch[0]?.reject(error);
      return [];
    }
    const middle = Math.ceil(batch.length / 2);
    const first = await this.#handle(batch.slice(0, middle), true);
    const second = await this.#handle(batch.slice(middle), true);
    return [...first, ...second];
  }

  #setAside(held: readonly Entry<Item, Answer>[]): void {
    for (const entry of held) {
      const subject = this.#options.subjectOf(entry.item) ?? NO_SUBJECT;
      const aside = this.#aside.get(subject);
      if (aside) {
        aside.push(entry);
        continue;
      }
      const entries = [entry];
      this.#aside.set(subject, entries);
      // Begins once all of them are in their places.
      const retry = Promise.resolve()
        .then(() => this.#retry(subject, entries))
        .finally(() => this.#retries.delete(retry));
      this.#retries.add(retry);
    }
  }

  /** Tries what was set aside for one subject until nothing is left of it. */
  async #retry(subject: string | symbol, entries: Entry<Item, Answer>[]): Promise<void> {
    for (let tries = 1; entries.length > 0; tries++) {
      const held = await this.#blocked(() => this.#handle(this.#take(entries), true));
      if (held.length === 0) continue;
      const latest = performance.now() - (this.#options.patienceMs ?? PATIENCE_MS);
      for (const entry of held) if (entry.since <= latest) entry.reject(stillHeld(subject));
      entries.unshift(...held.filter((entry) => entry.since > latest));
      if (entries.length > 0) await pause(Math.min(FIRST_BACKOFF_MS * 2 ** (tries - 1), MAX_BACKOFF_MS));
    }
    this.#aside.delete(subject);
  }
}

/** Data that PostgreSQL refuses, a constraint that one item breaks, a limit that one item exceeds. */
function isBadValue(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error) ?? "");
}

function isWorthAnotherTry(error: unknown): boolean {
  return isBadValue(error) || isConnectionLoss(error) || isTransient(error);
}

/** Resolves at the end of this turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function gaveUp(cause: unknown): Error {
  return unavailable("the database did not answer in time; send the request again with the same Idempotency-Key", {
    retryAfterSecs: 1,
    cause,
  });
}

function noRoom(): Error {
  return unavailable("this server has more such requests at hand than it can handle; send the request again later", {
    retryAfterSecs: 1,
  });
}

function stillHeld(subject: string | symbol): Error {
  return unavailable("another transaction holds what this request changes; send the request again", {
    retryAfterSecs: 1,
    cause: new Error(`gave up waiting for the lock of ${JSON.stringify(String(subject))}`),
  });
}
