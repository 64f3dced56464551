import { describe, expect, test } from "vitest";
import { type BatchProgress, batch } from "../src/batch.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Work whose end the test decides. */
function givenWork() {
  const waiting: (() => void)[] = [];
  let most = 0;
  const work = async (item: number) => {
    await new Promise<void>((resolve) => {
      most = Math.max(most, waiting.push(resolve));
    });
    return item * 10;
  };
  const finishAll = async (until: Promise<unknown>) => {
    let isOver = false;
    void until.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { work, finishAll, most: () => most };
}

describe("a batch", () => {
  test("does some at a time, and gives the results in the order of the items", async () => {
    const { work, finishAll, most } = givenWork();

    const results = batch(numbers(20), work, { concurrency: 3 });
    await finishAll(results);

    expect((await results).map((result) => result.status === "fulfilled" && result.value)).toEqual(
      numbers(20).map((item) => item * 10),
    );
    expect(most()).toBe(3);
  });

  test("goes on when one fails, and tells how far it is", async () => {
    const told: BatchProgress[] = [];
    const work = async (item: number) => {
      if (item === 1) throw new Error("no");
      return item;
    };

    const results = await batch(numbers(3), work, { concurrency: 1, onProgress: (progress) => told.push(progress) });

    expect(results).toEqual([
      { status: "fulfilled", value: 0 },
      { status: "rejected", reason: new Error("no") },
      { status: "fulfilled", value: 2 },
    ]);
    expect(told).toEqual([
      { done: 1, failed: 0, taken: 1 },
      { done: 2, failed: 1, taken: 2 },
      { done: 3, failed: 1, taken: 3 },
    ]);
  });

  test("takes from a source no more than it can begin", async () => {
    let taken = 0;
    async function* source() {
      for (const item of numbers(100)) {
        taken += 1;
        yield item;
      }
    }
    const abort = new AbortController();

    const results = await batch(source(), async (item) => item === 4 && abort.abort(), {
      concurrency: 2,
      signal: abort.signal,
    });

    expect(results.length).toBeLessThan(8);
    expect(taken).toBeLessThan(8);
  });

  test("begins nothing when it is aborted already, and passes on what its source throws", async () => {
    const broken = (function* () {
      yield 1;
      throw new Error("the source broke");
    })();

    expect(await batch(numbers(3), async () => 1, { signal: AbortSignal.abort() })).toEqual([]);
    await expect(batch(broken, async () => 1)).rejects.toThrow("the source broke");
  });

  test.each([0, -1, 1.5, Number.NaN])("refuses a concurrency of %s", async (concurrency) => {
    await expect(batch([], async () => 1, { concurrency })).rejects.toThrow(RangeError);
  });
});
