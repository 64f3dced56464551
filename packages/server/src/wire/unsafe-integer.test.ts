import { describe, expect, test } from "vitest";
import { findUnsafeInteger } from "./unsafe-integer.ts";

const find = (text: string) => findUnsafeInteger(text, JSON.parse(text));

describe("an integer beyond 2^53", () => {
  test.each([
    ["9007199254740992", ""],
    ["-9007199254740993", ""],
    ['{"a":[1,{"b/c":12345678901234567890}]}', "/a/1/b~1c"],
    ['{"text":"\\"12345678901234567890","id":12345678901234567890}', "/id"],
  ])("is found in %s", (text, pointer) => {
    expect(find(text)).toBe(pointer);
  });

  test.each([
    "9007199254740991",
    "-9007199254740991",
    '"12345678901234567890"',
    '{"12345678901234567890":1}',
    "0.12345678901234567890",
    "1234567890123456.5",
    "1e300",
    "12345678901234567890e-10",
  ])("is none in %s", (text) => {
    expect(find(text)).toBeUndefined();
  });

  test("is found behind a string of many megabytes", () => {
    const text = `{"text":"${"x".repeat(16 * 1024 * 1024)}","id":12345678901234567890}`;

    expect(find(text)).toBe("/id");
  });

  test("is refused without a place where nesting is deeper than anything that is accepted", () => {
    const text = `${"[".repeat(5_000)}12345678901234567890${"]".repeat(5_000)}`;

    expect(find(text)).toBe("");
  });
});
