import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration, parsePositiveDuration } from "./duration.ts";

describe("parsing a duration", () => {
  test.each([
    ["24h", 86_400_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [".5m", 30_000],
    ["2.s", 2_000],
    ["1s1s", 2_000],
    ["1m90s", 150_000],
    ["250ms", 250],
    ["1.001s", 1_001],
    ["3us", 0.003],
    ["3\u00b5s", 0.003],
    ["3\u03bcs", 0.003],
    ["7ns", 0.000_007],
    ["0.9ns", 0],
    ["7d", 604_800_000],
    ["1w2d", 777_600_000],
    ["+1s", 1_000],
    ["-1h", -3_600_000],
    ["-0s", 0],
    ["0", 0],
    ["-0", 0],
    ["8760h", 31_536_000_000],
  ])("reads %s as %d ms", (text, value) => {
    expect(parseDuration(text)).toEqual({ ok: true, value });
  });

  test.each([
    ["", "duration"],
    ["-", "duration"],
    ["h", "duration"],
    [".", "duration"],
    ["1h.", "duration"],
    [" 1h", "duration"],
    ["24", "durationUnit"],
    ["1.5.5h", "durationUnit"],
    ["24H", "durationUnit"],
    ["1h 30m", "durationUnit"],
    ["1y", "durationUnit"],
    ["1e3s", "durationUnit"],
    ["2562048h", "maximum"],
    ["1".repeat(65), "maxLength"],
  ])("refuses %j by the rule %s", (text, rule) => {
    expect(parseDuration(text)).toMatchObject({ ok: false, problem: { rule } });
  });

  test("says what to write instead", () => {
    expect(parseDuration("24")).toMatchObject({
      problem: { fix: 'write "24s" for seconds, or another unit of w, d, h, m, s, ms, us, ns, in "24"' },
    });
    expect(parseDuration("1day")).toMatchObject({
      problem: { fix: 'replace "day" in "1day" by one of w, d, h, m, s, ms, us, ns' },
    });
  });
});

describe("parsing a positive duration", () => {
  test("takes what is longer than zero", () => {
    expect(parsePositiveDuration("1ns")).toEqual({ ok: true, value: 0.000_001 });
  });

  test.each(["0", "0h", "-1s"])("refuses %s", (text) => {
    expect(parsePositiveDuration(text)).toMatchObject({ ok: false, problem: { rule: "exclusiveMinimum" } });
  });

  test("passes on what is wrong with the text", () => {
    expect(parsePositiveDuration("soon")).toMatchObject({ ok: false, problem: { rule: "duration" } });
  });
});

describe("formatting a duration", () => {
  test.each([
    [86_400_000, "24h"],
    [5_400_000, "1h30m"],
    [61_500, "1m1s500ms"],
    [0.001_5, "1us500ns"],
    [0, "0s"],
    [-3_600_000, "-1h"],
    [-0.000_000_1, "0s"],
  ])("writes %d ms as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("refuses what is not finite", () => {
    expect(() => formatDuration(Number.NaN)).toThrow(RangeError);
  });

  test("is undone by parsing", () => {
    fc.assert(
      fc.property(fc.integer({ min: -9_000_000_000_000, max: 9_000_000_000_000 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toEqual({ ok: true, value: ms + 0 });
      }),
    );
  });
});

test("durations add up whatever the order of their terms", () => {
  const term = fc.tuple(fc.integer({ min: 0, max: 999 }), fc.constantFrom("h", "m", "s", "ms", "d", "w"));
  fc.assert(
    fc.property(fc.array(term, { minLength: 1, maxLength: 8 }), (terms) => {
      const words = terms.map(([amount, unit]) => `${amount}${unit}`);
      const sum = words.reduce((total, word) => total + (parseDuration(word) as { value: number }).value, 0);
      expect(parseDuration(words.join(""))).toEqual({ ok: true, value: sum });
      expect(parseDuration(words.reverse().join(""))).toEqual({ ok: true, value: sum });
    }),
  );
});
