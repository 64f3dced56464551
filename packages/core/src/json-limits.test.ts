import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findJsonProblem } from "./json-limits.ts";

const nested = (depth: number): unknown => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);

describe("the limits of JSON values", () => {
  test("let ordinary values pass", () => {
    for (const value of [null, true, 0, "", "é 😀 \u0001", [], {}, { a: [1, { b: "c" }] }, nested(512)]) {
      expect(findJsonProblem(value)).toBeUndefined();
    }
  });

  test.each([
    ['"a\\u0000"', "", "nulCharacter"],
    ['{"a":["x","y\\u0000"]}', "/a/1", "nulCharacter"],
    ['{"a":{"b\\u0000/":1}}', "/a/b\u0000~1", "nulCharacter"],
    ['["\\ud83d\\ude00","\\ud83d"]', "/1", "wellFormed"],
    ['{"a":{"\\ude00":1}}', "/a/\ude00", "wellFormed"],
    ['{"a":[1,-1e400]}', "/a/1", "finite"],
  ])("stop %s at %s", (text, pointer, rule) => {
    expect(findJsonProblem(JSON.parse(text))).toMatchObject({ pointer, rule });
  });

  test("stop what is nested deeper than 512 levels, however deep", () => {
    expect(findJsonProblem(nested(513))).toEqual({
      pointer: "/0".repeat(512),
      rule: "maxDepth",
      fix: "nest at most 512 levels deep, or send the inner part as a string of JSON",
    });
    expect(findJsonProblem({ a: nested(100_000) })?.pointer).toBe(`/a${"/0".repeat(511)}`);
  });

  test("let every well-formed JSON value pass", () => {
    const text = fc.string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.array(tie("value")), tie("object")),
      object: fc.dictionary(text, tie("value")),
    }));
    fc.assert(
      fc.property(value, (json) => {
        expect(findJsonProblem(json)).toBeUndefined();
      }),
    );
  });
});
