import { expect, test } from "vitest";
import { Setbacks } from "./setbacks.ts";

test("what has failed waits one second, then two, four and eight, and never more than ten", () => {
  let now = 0;
  const setbacks = new Setbacks(() => now);
  const pauses: number[] = [];

  for (let tries = 1; tries <= 6; tries++) {
    expect(setbacks.note("a", true)).toBe(tries);
    const from = now;
    while (!setbacks.isDue("a")) now += 500;
    pauses.push(now - from);
  }

  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test("a failure that passes by itself makes the next try wait, and does not count", () => {
  const setbacks = new Setbacks(() => 0);

  expect([setbacks.note("a", true), setbacks.note("a", false), setbacks.note("a", true)]).toEqual([1, 1, 2]);

  expect(setbacks.waiting()).toEqual(["a"]);
});

test("what has succeeded begins anew, and what never failed is due", () => {
  const setbacks = new Setbacks(() => 0);
  setbacks.note("a", true);

  setbacks.forget("a");

  expect([setbacks.has("a"), setbacks.isDue("a"), setbacks.isDue("b"), setbacks.note("a", true)]).toEqual([
    false,
    true,
    true,
    1,
  ]);
});

test("keeps a bounded number", () => {
  const setbacks = new Setbacks(() => 0);

  for (let index = 0; index < 10_001; index++) setbacks.note(String(index), true);

  expect(setbacks.waiting()).toEqual(["10000"]);
});
