import { describe, expect, onTestFinished, test, vi } from "vitest";
import { done, Lane, type LaneOptions, refused } from "./lane.ts";

const databaseError = (code: string) => Object.assign(new Error(`failed with ${code}`), { code });

/** A lane of numbers whose answer is the number, and whose subject is their tens. Every batch that was tried is kept. */
function laneOf(
  run: (items: readonly number[], tries: number) => Promise<void> | void = () => {},
  sizeOf: LaneOptions<number, number>["sizeOf"] = () => 1,
  options: Partial<LaneOptions<number, number>> = {},
) {
  const batches: { items: readonly number[]; repeated: boolean }[] = [];
  const lane = new Lane<number, number>({
    ...options,
    sizeOf,
    subjectOf: (item) => (item < 10 ? null : String(Math.floor(item / 10))),
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

  test("what a batch starts leaves before its answers", async () => {
    const left: string[] = [];
    const { lane } = laneOf(() => {
      // As an HTTP client does on a connection that was idle, after a look at the circuit.
      void Promise.resolve().then(() => setImmediate(() => left.push("dispatch")));
    });

    await lane.add(1).then(() => left.push("answer"));

    expect(left).toEqual(["dispatch", "answer"]);
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

  test.each(["40P01", "40001"])("a batch that fails with %s is repeated", async (code) => {
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

  test("items whose own answer is an error that may pass are tried again alone", async () => {
    const batches: (readonly number[])[] = [];
    const lane = new Lane<number, number>({
      sizeOf: () => 1,
      subjectOf: () => null,
      async run(items) {
        batches.push(items);
        return items.map((item) => (batches.length === 1 && item === 2 ? refused(databaseError("40P01")) : done(item)));
      },
    });

    expect(await Promise.all([1, 2, 3].map((item) => lane.add(item)))).toEqual([1, 2, 3]);

    expect(batches).toEqual([[1, 2, 3], [2]]);
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
      subjectOf: () => null,
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

describe("L2 a batch that cannot get a lock", () => {
  /** A lane in which whatever has a 50 in it is held until it is let go. */
  function heldLane() {
    let isHeld = true;
    const made = laneOf((items) => {
      if (isHeld && items.some((item) => Math.floor(item / 10) === 5)) throw databaseError("55P03");
    });
    const settled: number[] = [];
    return {
      ...made,
      settled,
      add: (item: number) => made.lane.add(item).then((answer) => settled.push(answer)),
      letGo: () => {
        isHeld = false;
      },
    };
  }

  test("is tried again subject by subject: the others are answered, and what is held is when it is free", async () => {
    const { lane, batches, settled, add, letGo } = heldLane();

    const all = [11, 50, 12, 51, 1, 2].map(add);
    await vi.waitFor(() => expect(settled).toHaveLength(4));

    expect(batches.slice(1).map(({ items }) => items)).toEqual(
      expect.arrayContaining([
        [11, 12],
        [50, 51],
        [1, 2],
      ]),
    );
    expect(batches.slice(1).every(({ repeated }) => repeated)).toBe(true);
    letGo();
    await Promise.all(all);
    expect(settled.slice(4)).toEqual([50, 51]);
    await lane.idle();
  });

  test("does not hold up those who come later, but for those of the same subject, which wait behind it", async () => {
    const { lane, batches, settled, add, letGo } = heldLane();
    const first = add(50);
    await vi.waitFor(() => expect(batches.length).toBeGreaterThan(1));

    const later = add(51);
    await add(61);

    expect(settled).toEqual([61]);
    expect(batches.filter(({ items }) => items.includes(61)).map(({ items }) => items)).toEqual([[61]]);
    letGo();
    await Promise.all([first, later]);
    expect(settled).toEqual([61, 50, 51]);
    await lane.idle();
    await add(52);
    expect(batches.at(-1)).toEqual({ items: [52], repeated: false });
  });

  test("answers after three seconds that it is unavailable, and when to come back", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const { lane, batches } = laneOf(() => {
      throw databaseError("55P03");
    });
    const refusals: unknown[] = [];
    lane.add(50).catch((error: unknown) => refusals.push(error));
    await vi.waitFor(() => expect(batches.length).toBeGreaterThan(2));
    expect(refusals).toEqual([]);

    vi.advanceTimersByTime(3_000);
    await lane.idle();

    expect(refusals).toMatchObject([{ code: "unavailable", details: { retry_after_secs: 1 } }]);
  });

  test("takes at most four connections for what is held, however many subjects that are", async () => {
    let most = 0;
    let under = 0;
    const { lane } = laneOf(async (_, tries) => {
      under++;
      most = Math.max(most, under);
      await new Promise((resolve) => setImmediate(resolve));
      under--;
      if (tries === 1) throw databaseError("55P03");
    });

    await Promise.all(range(30).map((index) => lane.add(10 * (index + 1))));

    expect(most).toBe(4);
  });
});

describe("a lane with a capacity", () => {
  const fates = async (answers: Promise<number>[]) =>
    (await Promise.allSettled(answers)).map((answer) =>
      answer.status === "fulfilled" ? answer.value : (answer.reason as { code: string }).code,
    );

  test("refuses what is more, says when to come back, and takes as much again once it has answered", async () => {
    const { lane, batches } = laneOf(undefined, undefined, { capacity: { items: 2, bytes: 100 } });

    const refusal = Promise.all([1, 2, 3].map((item) => lane.add(item)));

    await expect(refusal).rejects.toMatchObject({ code: "unavailable", details: { retry_after_secs: 1 } });
    await lane.idle();
    expect(batches.map(({ items }) => items)).toEqual([[1, 2]]);
    expect(await fates([4, 5, 6].map((item) => lane.add(item)))).toEqual([4, 5, "unavailable"]);
  });

  test("counts bytes, but takes one item of any size", async () => {
    const { lane } = laneOf(undefined, (item) => item, { capacity: { items: 9, bytes: 100 } });

    expect(await fates([60, 50, 40].map((item) => lane.add(item)))).toEqual([60, "unavailable", 40]);
    expect(await fates([101, 1].map((item) => lane.add(item)))).toEqual([101, "unavailable"]);
  });

  test("counts what is set aside, until it has an answer, whichever it is", async () => {
    let isHeld = true;
    const { lane, batches } = laneOf(
      () => {
        if (isHeld) throw databaseError("55P03");
      },
      undefined,
      { capacity: { items: 1, bytes: 100 } },
    );
    const held = lane.add(50);
    await vi.waitFor(() => expect(batches.length).toBeGreaterThan(1));

    expect(await fates([lane.add(61)])).toEqual(["unavailable"]);
    isHeld = false;
    expect(await fates([held])).toEqual([50]);
    expect(await fates([lane.add(61)])).toEqual([61]);
  });

  test("without one, refuses nothing", async () => {
    const { lane } = laneOf();

    expect(await Promise.all(range(20_000).map((item) => lane.add(item)))).toHaveLength(20_000);
  });
});
