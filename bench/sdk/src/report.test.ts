import { describe, expect, test } from "vitest";
import { type Bar, type Row, report } from "./report.ts";

function judge(rows: readonly Row[], bar: Bar): { readonly lines: readonly string[]; readonly isMet: boolean } {
  const { text, isMet } = report("title", rows, { ours: { ms: bar } });
  return { lines: text.split("\n").slice(3), isMet };
}

describe("a figure of the benchmark of clients", () => {
  const rows = [
    { name: "ours", ms: [10, 50, 30] },
    { name: "theirs", ms: [20, 200, 40] },
  ];

  test("is the median of its rounds, and a multiple of another the median of the rounds' own", () => {
    const { lines, isMet } = judge(rows, { most: 0.5, of: "theirs" });

    expect(lines).toEqual(["ours    30, 0.5 × theirs ✓ ≤ 0.5", "theirs  40"]);
    expect(isMet).toBe(true);
  });

  test("misses a bar that it is above, a time by more than 15 %", () => {
    const bars = [
      { most: 0.49, of: "theirs" },
      { most: 0.49, of: "theirs", isTime: true },
      { most: 0.43, of: "theirs", isTime: true },
      { least: 35, isTime: true },
      { least: 36, isTime: true },
    ];

    expect(bars.map((bar) => judge(rows, bar).isMet)).toEqual([false, true, false, true, false]);
  });

  test("misses a bar when it, or what it is a multiple of, is missing", () => {
    expect(judge([{ name: "ours", ms: Number.NaN }], { most: 1 }).lines).toEqual(["ours  fails ✗ ≤ 1"]);
    expect(judge([{ name: "ours", ms: [1] }], { most: 1, of: "theirs" }).isMet).toBe(false);
  });
});
