import { describe, expect, test } from "vitest";
import { type Clock, delayBeforeRetry, isRetryable, readRetryAfter, systemClock } from "./retry.ts";

const now = Date.parse("2026-01-01T00:00:00Z");
const almostAlways = () => 0.999;

/** A clock that stands still, and by default is as early as it can be. */
function clockAt(random: () => number = () => 0): Clock {
  return { ...systemClock, now: () => now, random };
}

/** The delay after the first of five tries, without a deadline. */
function delayAfter(
  call: { tries?: number; retries?: number; deadlineAt?: number; retryAfterMs?: number },
  random?: () => number,
): number | undefined {
  const { retryAfterMs, ...given } = call;
  const asked = { tries: 1, retries: 5, deadlineAt: Number.POSITIVE_INFINITY, ...given };
  return delayBeforeRetry(asked, { maxRetryAfterMs: 60_000 }, clockAt(random), retryAfterMs);
}

describe("a status", () => {
  test.each([408, 425, 429, 500, 502, 503, 504, 529])("of %i is worth another attempt", (status) => {
    expect(isRetryable(Response.json({}, { status }))).toBe(true);
  });

  test.each([200, 301, 400, 401, 403, 404, 409, 410, 413, 422])("of %i is final", (status) => {
    expect(isRetryable(Response.json({}, { status }))).toBe(false);
  });
});

test("a conflict is worth another attempt when it says when", () => {
  expect(isRetryable(Response.json({}, { status: 409, headers: { "retry-after": "1" } }))).toBe(true);
});

describe("the wait that an answer asks for", () => {
  test.each([
    [{ "retry-after": "2" }, 2_000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "1.5" }, 1_500],
    [{ "retry-after": "Thu, 01 Jan 2026 00:00:30 GMT" }, 30_000],
    [{ "retry-after": "Wed, 31 Dec 2025 23:00:00 GMT" }, 0],
    [{ "retry-after-ms": "250", "retry-after": "2" }, 250],
    [{ "retry-after-ms": "soon", "retry-after": "2" }, 2_000],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-5x" }, undefined],
    [{ "retry-after": "" }, undefined],
    [{}, undefined],
  ])("in %j is %s ms", (headers, expected) => {
    expect(readRetryAfter(new Response(null, { headers: Object.entries(headers) }), clockAt())).toBe(expected);
  });
});

describe("the delay before another attempt", () => {
  test("is spread from nothing to a ceiling that doubles up to 8 s", () => {
    const ceilings = [1, 2, 3, 4, 5].map((tries) => delayAfter({ tries }, () => 1));

    expect(ceilings).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
    expect(delayAfter({ tries: 20, retries: 20 }, () => 1)).toBe(8_000);
    expect(delayAfter({})).toBe(0);
    expect(delayAfter({}, almostAlways)).toBeCloseTo(499.5);
  });

  test("is exactly what the server asked for", () => {
    expect(delayAfter({ retryAfterMs: 60_000 })).toBe(60_000);
  });

  test("is none when the server asks for more than the cap", () => {
    expect(delayAfter({ retryAfterMs: 60_001 })).toBeUndefined();
  });

  test("is none when the retries are used up", () => {
    expect(delayAfter({ tries: 5 })).toBe(0);
    expect(delayAfter({ tries: 6 })).toBeUndefined();
    expect(delayAfter({ retries: 0 })).toBeUndefined();
  });

  test("is none when the deadline would come first", () => {
    expect(delayAfter({ retryAfterMs: 100, deadlineAt: now + 101 })).toBe(100);
    expect(delayAfter({ retryAfterMs: 100, deadlineAt: now + 100 })).toBeUndefined();
  });
});

describe("a sleep", () => {
  test("ends by itself", async () => {
    await systemClock.sleep(1, undefined);
  });

  test("ends as soon as the signal is aborted", async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(60_000, controller.signal);

    controller.abort();

    await sleeping;
  });

  test("does not begin when the signal is aborted already", async () => {
    await systemClock.sleep(60_000, AbortSignal.abort());
  });
});
