import { expect, test } from "vitest";
import { isExpected } from "./expected-set.ts";

const found = { count: 2, digest: "ab" };

test.each([
  [{}, true],
  [{ count: 2 }, true],
  [{ count: 3 }, false],
  [{ digest: "ab" }, true],
  [{ digest: "cd" }, false],
  [{ count: 2, digest: "cd" }, false],
])("P5 a set is held against what is expected of it and nothing else: %j is %s", (expected, verdict) => {
  expect(isExpected(expected, found)).toBe(verdict);
});
