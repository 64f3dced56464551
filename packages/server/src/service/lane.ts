import { unavailable } from "../domain/errors.ts";
import { isConnectionLoss, isTransient, sqlState } from "../store/database.ts";

/** What became of one item of a batch. */
export type Outcome<Answer> =
  | { readonly ok: true; readonly value: Answer }
  | { readonly ok: false; readonly error: unknown };

export const done = <Answer>(value: Answer): Outcome<Answer> => ({ ok: true, value });
export const refused = (error: unknown): Outcome<never> => ({ ok: false, error });

export interface LaneOptions<Item, Answer> {
  /**
   * Handles a batch and answers for each item, in order. With `repeated` it is called again for items of a call that
   * failed: part of that call may have been committed, and after a broken connection nobody knows.
   */
  run(items: readonly Item[], repeated: boolean): Promise<readonly Outcome<Answer>[]>;
  /** Bytes that an item adds to a batch. */
  sizeOf(item: Item): number;
}

/** Beyond these a batch gains nothing and holds its locks longer (L2). */
const MAX_ITEMS = 500;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_REPEATS = 8;
const FIRST_BACKOFF_MS = 50;

/** Handles items in batches; each caller waits for its own answer. */
export interface Batched<Item, Answer> {
  add(item: Item): Promise<Answer>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Commits in batches made of what has piled up: while one batch runs, arrivals gather for the next, and there is no timer,
 * so a single item is not delayed (L1). One item never harms another: the batch that a bad value spoils is halved down to
 * the culprit (L2).
 */
export class Lane<Item, Answer> implements Batched<Item, Answer> {
  readonly #options: LaneOptions<Item, Answer>;
  #waiting: Waiting<Item, Answer>[] = [];
  #running: Promise<void> | undefined;

  constructor(options: LaneOptions<Item, Answer>) {
    this.#options = options;
  }

  add(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#running ??= this.#drain();
    });
  }

  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #drain(): Promise<void> {
    // What arrives in this turn of the event loop belongs to the first batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#runBatch(this.#takeBatch());
    this.#running = undefined;
  }

  #takeBatch(): Waiting<Item, Answer>[] {
    let bytes = 0;
    let count = 0;
    for (const { item } of this.#waiting) {
      bytes += this.#options.sizeOf(item);
      if (count > 0 && (count === MAX_ITEMS || bytes > MAX_BYTES)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #runBatch(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    const outcomes = await this.#outcomes(batch.map(({ item }) => item));
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome?.ok) resolve(outcome.value);
      else reject(outcome?.error ?? new Error("a batch answered for fewer items than it was given"));
    }
  }

  async #outcomes(items: readonly Item[], repeated = false): Promise<readonly Outcome<Answer>[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#options.run(items, repeated || tries > 1);
      } catch (error) {
        if (isBadValue(error)) return this.#halve(items, error);
        const isLoss = isConnectionLoss(error);
        if (!isLoss && !isTransient(error)) return items.map(() => refused(error));
        if (tries === MAX_REPEATS) return items.map(() => refused(gaveUp(error)));
        if (isLoss) await new Promise((resolve) => setTimeout(resolve, FIRST_BACKOFF_MS * 2 ** (tries - 1)));
      }
    }
  }

  async #halve(items: readonly Item[], error: unknown): Promise<readonly Outcome<Answer>[]> {
    if (items.length === 1) return [refused(error)];
    const middle = Math.ceil(items.length / 2);
    const first = await this.#outcomes(items.slice(0, middle), true);
    const second = await this.#outcomes(items.slice(middle), true);
    return [...first, ...second];
  }
}

/** Data that PostgreSQL refuses, a constraint that one item breaks, a limit that one item exceeds. */
function isBadValue(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error) ?? "");
}

function gaveUp(cause: unknown): Error {
  return unavailable("the database did not answer in time; send the request again with the same Idempotency-Key", {
    retryAfterSecs: 1,
    cause,
  });
}
