import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deliveryRetryDelayMs, MAX_DELIVERY_ATTEMPTS, type RetryPolicy, runRetryDelayMs } from "./retry-delay.ts";

const MIDDLE = 0.5;

describe("the delay before a run's next attempt", () => {
  test.each<[RetryPolicy["strategy"], number[], number[]]>([
    ["exponential", [], [1, 2, 4, 8, 16]],
    ["linear", [], [1, 2, 3, 4, 5]],
    ["fixed", [], [1, 1, 1, 1, 1]],
    ["custom", [10, 60, 600], [10, 60, 600, 600, 600]],
    ["custom", [0], [1, 1, 1, 1, 1]],
    ["custom", [], [1, 2, 4, 8, 16]],
    ["fixed", [10], [1, 1, 1, 1, 1]],
  ])("grows by the strategy %s %j", (strategy, delaysSecs, secs) => {
    const delays = [1, 2, 3, 4, 5].map((attempt) => runRetryDelayMs({ strategy, delaysSecs }, attempt, MIDDLE) / 1000);
    expect(delays).toEqual(secs);
  });

  test("is capped at an hour where a formula gives it", () => {
    expect(runRetryDelayMs({ strategy: "exponential", delaysSecs: [] }, 10_000, MIDDLE)).toBe(3_600_000);
    expect(runRetryDelayMs({ strategy: "linear", delaysSecs: [] }, 10_000, MIDDLE)).toBe(3_600_000);
    expect(runRetryDelayMs({ strategy: "custom", delaysSecs: [86_400] }, 1, MIDDLE)).toBe(86_400_000);
  });

  test("is spread by 20 % to both sides", () => {
    const policy: RetryPolicy = { strategy: "custom", delaysSecs: [100] };
    expect(runRetryDelayMs(policy, 1, 0)).toBe(80_000);
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const delayMs = runRetryDelayMs(policy, 1, random);
        expect(delayMs).toBeGreaterThanOrEqual(80_000);
        expect(delayMs).toBeLessThanOrEqual(120_000);
      }),
    );
  });
});

test("a webhook is sent five times, 5, 25, 125 and 625 seconds apart", () => {
  expect(MAX_DELIVERY_ATTEMPTS).toBe(5);
  expect([1, 2, 3, 4, 5].map(deliveryRetryDelayMs)).toEqual([5_000, 25_000, 125_000, 625_000, undefined]);
});
