import { expect, test } from "vitest";
import { describeDeadline, describeSpan } from "../src/page/time-left.ts";

const secs = (count: number) => count * 1_000;

test.each([
  [0, "0 s"],
  [secs(0.2), "1 s"],
  [secs(59), "59 s"],
  [secs(60), "1 min"],
  [secs(398), "6 min 38 s"],
  [secs(3_600), "1 h"],
  [secs(7_199), "1 h 59 min"],
  [secs(86_400 + 61), "1 d"],
  [secs(172_799), "1 d 23 h"],
])("a span of %i ms reads %s", (ms, text) => {
  expect(describeSpan(ms)).toBe(text);
});

test("a deadline is near from ten minutes before it, and says when it has passed", () => {
  const at = "2026-05-04T12:00:00.000Z";
  const before = (ms: number) => describeDeadline(at, Date.parse(at) - ms);

  expect(before(secs(600))).toEqual({ text: "10 min left", isSoon: false });
  expect(before(secs(599))).toEqual({ text: "9 min 59 s left", isSoon: true });
  expect(before(0)).toEqual({ text: "time is up", isSoon: true });
  expect(describeDeadline(null, 0)).toEqual({ text: "no deadline", isSoon: false });
});
