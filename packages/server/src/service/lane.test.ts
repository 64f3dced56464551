import { describe, expect, test, vi } from "vitest";
import { done, Lane, type LaneOptions } from "./lane.ts";

const databaseError = (code: string) => Object.assign(new Error(`failed with ${code}`), { code });

/** A lane of numbers whose answer is the number; `run` may fail first. Every batch that was tried is kept. */
function laneOf(
  run: (items: readonly number[], tries: number) => Promise<void> | void = () => {},
  sizeOf: LaneOptions<number, number>["sizeOf"] = () => 1,
) {
  const batches: { items: readonly number[]; repeated: boolean }[] = [];
  const lane = new Lane<number, number>({
    sizeOf,
    async run(items, repeated) {
      batches.push({ items, repeated });
      await run(items, batches.length);
      return items.map(done);
    },
  });
  return { lane, batches };
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("L1 a lane commits in batches of what has piled up", () => {
  test("what arrives in one turn is one batch, and what arrives meanwhile is the next", async () => {
    let finishFirst = () => {};
    const { lane, batches } = laneOf((_, tries) =>
      tries === 1
        ? new Promise<void>((resolve) => {
            finishFirst = resolve;
          })
        : undefined,
    );

    const early = [1, 2, 3].map((item) => lane.add(item));
    await vi.waitFor(() => expect(batches).toHaveLength(1));
    const late = [4, 5].map((item) => lane.add(item));
    finishFirst();

    expect(await Promise.all([...early, ...late])).toEqual([1, 2, 3, 4, 5]);
    expect(batches.map(({ items }) => items)).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  test("a single item is not delayed by a timer", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "setInterval"] });
    const { lane } = laneOf();

    const answer = await lane.add(1).finally(() => vi.useRealTimers());

    expect(answer).toBe(1);
  });

  test("is idle when every answer has been given", async () => {
    const { lane, batches } = laneOf();
    let answered = false;
    void lane.add(1).then(() => {
      answered = true;
    });

    await lane.idle();

    expect(answered).toBe(true);
    await lane.idle();
    expect(batches).toHaveLength(1);
  });
});

describe("L2 one item never harms another", () => {
  test.each(["22P02", "23505", "54000"])("a batch spoiled with %s is halved down to the culprit", async (code) => {
    const { lane } = laneOf((items) => {
      if (items.includes(5)) throw databaseError(code);
    });

    const answers = await Promise.allSettled(range(9).map((item) => lane.add(item)));

    expect(answers.flatMap((answer, item) => (answer.status === "rejected" ? [item] : []))).toEqual([5]);
  });

  test("halves are told that items may stand already: an earlier statement of the batch may have been committed", async () => {
    const { lane, batches } = laneOf((items) => {
      if (items.includes(0)) throw databaseError("22P02");
    });

    await Promise.allSettled([lane.add(0), lane.add(1)]);

    expect(batches.map(({ repeated }) => repeated)).toEqual([false, true, true]);
  });

  test.each(["40P01", "40001", "55P03"])("a batch that fails with %s is repeated", async (code) => {
    const { lane, batches } = laneOf((_, tries) => {
      if (tries < 4) throw databaseError(code);
    });

    expect(await Promise.all([lane.add(1), lane.add(2)])).toEqual([1, 2]);

    expect(batches.map(({ items }) => items)).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(batches.map(({ repeated }) => repeated)).toEqual([false, true, true, true]);
  });

  test("is repeated with a pause after a broken connection, and told so", async () => {
    const { lane, batches } = laneOf((_, tries) => {
      if (tries === 1) throw databaseError("57P01");
      if (tries === 2) throw databaseError("ECONNRESET");
    });

    expect(await lane.add(1)).toBe(1);

    expect(batches.map(({ repeated }) => repeated)).toEqual([false, true, true]);
  });

  test("gives up when the database does not come to terms, and tells when to come back", async () => {
    const { lane, batches } = laneOf(() => {
      throw databaseError("40P01");
    });

    await expect(lane.add(1)).rejects.toMatchObject({ code: "unavailable", details: { retry_after_secs: 1 } });

    expect(batches).toHaveLength(8);
  });

  test("an error of another kind is everybody's, at once", async () => {
    const { lane, batches } = laneOf(() => {
      throw new TypeError("a bug");
    });

    const answers = await Promise.allSettled([lane.add(1), lane.add(2)]);

    expect(answers.map((answer) => answer.status)).toEqual(["rejected", "rejected"]);
    expect(batches).toHaveLength(1);
  });

  test("a batch that answers for too few refuses the others", async () => {
    const lane = new Lane<number, number>({
      sizeOf: () => 1,
      run: async ([first]) => (first === undefined ? [] : [done(first)]),
    });

    const answers = await Promise.allSettled([lane.add(1), lane.add(2)]);

    expect(answers.map((answer) => answer.status)).toEqual(["fulfilled", "rejected"]);
  });

  test("a batch has at most 500 items", async () => {
    const { lane, batches } = laneOf();

    await Promise.all(range(1_201).map((item) => lane.add(item)));

    expect(batches.map(({ items }) => items.length)).toEqual([500, 500, 201]);
  });

  test("a batch has at most 4 MiB, and an item that is larger has one of its own", async () => {
    const MIB = 2 ** 20;
    const { lane, batches } = laneOf(undefined, (item) => item * MIB);

    await Promise.all([1, 2, 1, 1, 9, 3, 1].map((item) => lane.add(item)));

    expect(batches.map(({ items }) => items)).toEqual([[1, 2, 1], [1], [9], [3, 1]]);
  });
});
