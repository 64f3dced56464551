export interface BatchOptions {
  /** How many may be under way at the same time. Default 8. */
  readonly concurrency?: number | undefined;
  /** Begins nothing more once it is aborted; pass it to the calls as well to end those that are under way. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each item. */
  readonly onProgress?: ((progress: BatchProgress) => void) | undefined;
}

/** How far a batch has come. */
export interface BatchProgress {
  /** Items that are done, the failed ones included. */
  readonly done: number;
  readonly failed: number;
  /** Items begun or taken so far; all of them once the source is exhausted. */
  readonly taken: number;
}

/**
 * Does something with each item, some at a time. One that fails does not stop the others. The items may come from a
 * source that is never complete in memory, such as `client.paginate`.
 *
 * @returns What became of each item, in the order of the items. Items that an abort left out are not there.
 * @throws {RangeError} When `concurrency` is not a whole number, 1 or more. What the source throws comes through, once
 *   the items that are under way are done.
 *
 * @example
 * ```ts
 * const waiting = client.paginate.getV1Events({ query: { status: "waiting", prefix: "review:" } });
 * await batch(waiting, ({ event_key }) =>
 *   client.operationsPromise.deleteV1EventsByEventKey({ pathParams: { eventKey: event_key } }),
 * );
 * ```
 */
export async function batch<Item, Result>(
  items: Iterable<Item> | AsyncIterable<Item>,
  work: (item: Item, index: number) => Promise<Result>,
  { concurrency = 8, signal, onProgress }: BatchOptions = {},
): Promise<PromiseSettledResult<Awaited<Result>>[]> {
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new RangeError(`concurrency must be a whole number, 1 or more, not ${concurrency}`);
  }
  const results: PromiseSettledResult<Awaited<Result>>[] = [];
  const running = new Set<Promise<void>>();
  let taken = 0;
  let done = 0;
  let failed = 0;

  async function run(item: Item, index: number): Promise<void> {
    const [result] = await Promise.allSettled([Promise.resolve().then(() => work(item, index))]);
    results[index] = result;
    done += 1;
    if (result.status === "rejected") failed += 1;
    onProgress?.({ done, failed, taken });
  }

  try {
    if (signal?.aborted) return results;
    for await (const item of items) {
      const task = run(item, taken++);
      running.add(task);
      void task.finally(() => running.delete(task));
      if (running.size >= concurrency) await Promise.race(running);
      if (signal?.aborted) break;
    }
  } finally {
    await Promise.all(running);
  }
  return results;
}
