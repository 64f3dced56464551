interface Setback {
  /** Failures in a row, and those of them that count. */
  readonly failures: number;
  readonly tries: number;
  readonly untilMs: number;
}

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 10_000;
/** What others have done in the meantime is never heard of again. */
const MAX_KEPT = 10_000;

/** What has failed, each to be tried again after a pause that doubles. Kept in memory: a new process tries anew. */
export class Setbacks {
  readonly #of = new Map<string, Setback>();
  readonly #monotonicMs: () => number;

  constructor(monotonicMs: () => number = () => performance.now()) {
    this.#monotonicMs = monotonicMs;
  }

  /** Whether the last try of `id` has failed. */
  has(id: string): boolean {
    return this.#of.has(id);
  }

  /** Whether `id` may be tried now. */
  isDue(id: string): boolean {
    const setback = this.#of.get(id);
    return setback === undefined || setback.untilMs <= this.#monotonicMs();
  }

  /** Those that may not be tried now. */
  waiting(): string[] {
    return [...this.#of.keys()].filter((id) => !this.isDue(id));
  }

  /**
   * Notes a failure.
   *
   * @param counts - False for one that will pass by itself: it only makes the next try wait.
   * @returns How many that count there have been in a row.
   */
  note(id: string, counts: boolean): number {
    const before = this.#of.get(id);
    if (this.#of.size >= MAX_KEPT) this.#of.clear();
    const failures = (before?.failures ?? 0) + 1;
    const tries = (before?.tries ?? 0) + (counts ? 1 : 0);
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);
    this.#of.set(id, { failures, tries, untilMs: this.#monotonicMs() + pauseMs });
    return tries;
  }

  forget(id: string): void {
    this.#of.delete(id);
  }
}
