import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkEventKey } from "./event-key.ts";

describe("an event key", () => {
  test.each(["aml:user-456", "a", "a/b c%d?e#f", "é", "승인:1", "😀".repeat(512), "stats:1", "...", "Stats"])(
    "may be %s",
    (key) => {
      expect(checkEventKey(key)).toEqual({ ok: true, value: key });
    },
  );

  test("is compared in NFC", () => {
    expect(checkEventKey("cafe\u0301")).toEqual({ ok: true, value: "caf\u00e9" });
    expect(checkEventKey("e\u0301".repeat(512))).toEqual({ ok: true, value: "\u00e9".repeat(512) });
  });

  test.each([
    ["", "must not be empty"],
    ["a".repeat(513), "must have at most 512 characters"],
    ["😀".repeat(513), "must have at most 512 characters"],
    ["a".repeat(1025), "must have at most 512 characters"],
    ["e\u0301".repeat(100_000), "must have at most 512 characters"],
    ["a\u0000b", "must not contain control characters"],
    ["a\tb", "must not contain control characters"],
    ["a\u007f", "must not contain control characters"],
    ["a\u0085", "must not contain control characters"],
    ["a\ud800", "must be well-formed Unicode"],
    [".", 'must not be the reserved word "."'],
    ["..", 'must not be the reserved word ".."'],
    ["stats", 'must not be the reserved word "stats"'],
    ["purge", 'must not be the reserved word "purge"'],
    ["dispatch", 'must not be the reserved word "dispatch"'],
    ["prefix", 'must not be the reserved word "prefix"'],
  ])("is refused when it is %j", (key, rule) => {
    expect(checkEventKey(key)).toMatchObject({ ok: false, problem: { rule } });
  });

  test("that was accepted is accepted again, unchanged", () => {
    const codeUnits = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 8 });
    fc.assert(
      fc.property(codeUnits, (units) => {
        const text = String.fromCharCode(...units);
        const first = checkEventKey(text);
        if (first.ok) expect(checkEventKey(first.value)).toEqual(first);
      }),
    );
  });
});
