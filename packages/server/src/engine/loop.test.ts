import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Loop, startLoop, type Tick } from "./loop.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const IDLE_MS = 1_000;
const failIt = (_: unknown, error: unknown): void => {
  throw error;
};

/** A loop over ticks that the test prescribes; behind the last one they find nothing. */
function loopOf(script: (Tick | (() => Promise<Tick>))[], onError = failIt): { loop: Loop; ticks: () => number } {
  let ticks = 0;
  const loop = startLoop(
    {
      name: "test",
      idleMs: IDLE_MS,
      async tick() {
        const next = script[ticks++] ?? { handled: 0 };
        return typeof next === "function" ? next() : next;
      },
    },
    onError,
  );
  onTestFinished(() => loop.stop());
  return { loop, ticks: () => ticks };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe("a loop", () => {
  test("ticks again at once while there is something to handle, then rests", async () => {
    const { ticks } = loopOf([{ handled: 3 }, { handled: 1 }, { handled: 0 }]);

    await settle();

    expect(ticks()).toBe(3);
  });

  test("spreads its idle looks by a fifth, so that many processes do not look in step, and is never late", async () => {
    const chance = vi.spyOn(Math, "random").mockReturnValue(0);
    onTestFinished(() => chance.mockRestore());
    const { ticks } = loopOf([]);
    await settle();

    await vi.advanceTimersByTimeAsync(0.8 * IDLE_MS - 1);
    expect(ticks()).toBe(1);
    chance.mockReturnValue(0.999);
    await vi.advanceTimersByTimeAsync(1);
    expect(ticks()).toBe(2);
    await vi.advanceTimersByTimeAsync(0.99 * IDLE_MS);
    expect(ticks()).toBe(2);
    await vi.advanceTimersByTimeAsync(0.01 * IDLE_MS);
    expect(ticks()).toBe(3);
  });

  test("ticks exactly when the next item falls due", async () => {
    const { ticks } = loopOf([{ handled: 0, nextMs: 250 }]);
    await settle();

    await vi.advanceTimersByTimeAsync(249);
    expect(ticks()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);

    expect(ticks()).toBe(2);
  });

  test("looks after the idle time at the latest, and does not spin on what is overdue but cannot be handled", async () => {
    const { ticks } = loopOf([
      { handled: 0, nextMs: 60_000 },
      { handled: 0, nextMs: -5 },
    ]);
    await settle();

    await vi.advanceTimersByTimeAsync(IDLE_MS);
    expect(ticks()).toBeGreaterThanOrEqual(2);
    const before = ticks();
    await vi.advanceTimersByTimeAsync(2);

    expect(ticks()).toBeLessThanOrEqual(before + 1);
  });

  test("Q8 is woken out of its sleep", async () => {
    const { loop, ticks } = loopOf([]);
    await settle();

    loop.wake();
    await settle();

    expect(ticks()).toBe(2);
  });

  test("Q8 loses no wake-up that comes during a tick: another tick follows", async () => {
    let finish: (tick: Tick) => void = () => {};
    const slow = () =>
      new Promise<Tick>((resolve) => {
        finish = resolve;
      });
    const { loop, ticks } = loopOf([slow]);
    await settle();

    loop.wake();
    finish({ handled: 0 });
    await settle();

    expect(ticks()).toBe(2);
  });

  test("goes on behind a tick that fails, after the idle time", async () => {
    const failures: unknown[] = [];
    const { ticks } = loopOf([() => Promise.reject(new Error("no connection"))], (_, error) => failures.push(error));
    await settle();
    expect(failures).toEqual([new Error("no connection")]);
    expect(ticks()).toBe(1);

    await vi.advanceTimersByTimeAsync(IDLE_MS);

    expect(ticks()).toBe(2);
  });

  test("lets the current tick finish before it has stopped, and may be stopped twice", async () => {
    let finish: (tick: Tick) => void = () => {};
    const slow = () =>
      new Promise<Tick>((resolve) => {
        finish = resolve;
      });
    const { loop, ticks } = loopOf([slow]);
    await settle();
    let stopped = false;

    const stopping = Promise.all([loop.stop(), loop.stop()]).then(() => {
      stopped = true;
    });
    await settle();
    expect(stopped).toBe(false);
    finish({ handled: 1 });
    await stopping;

    expect(ticks()).toBe(1);
  });

  test("wakes from its sleep to stop", async () => {
    const { loop } = loopOf([]);
    await settle();

    await loop.stop();

    expect(vi.getTimerCount()).toBe(0);
  });
});
