import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkEventKey, checkEventKeyPrefix, endOfPrefix } from "./event-key.ts";

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
    ["", "minLength"],
    ["a".repeat(513), "maxLength"],
    ["😀".repeat(513), "maxLength"],
    ["a".repeat(1025), "maxLength"],
    ["e\u0301".repeat(100_000), "maxLength"],
    ["a\u0000b", "controlCharacters"],
    ["a\tb", "controlCharacters"],
    ["a\u007f", "controlCharacters"],
    ["a\u0085", "controlCharacters"],
    ["a\ud800", "wellFormed"],
    [".", "reserved"],
    ["..", "reserved"],
    ["stats", "reserved"],
    ["purge", "reserved"],
    ["dispatch", "reserved"],
    ["prefix", "reserved"],
  ])("is refused when it is %j by the rule %s", (key, rule) => {
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

describe("the prefix of event keys", () => {
  test.each(["a", "stats", "prefix", "100%_", "é"])("P1 may be %s", (prefix) => {
    expect(checkEventKeyPrefix(prefix)).toEqual({ ok: true, value: prefix });
  });

  test.each([
    ["", "minLength"],
    ["a".repeat(513), "maxLength"],
    ["a\u0000", "controlCharacters"],
    ["a\ud800", "wellFormed"],
  ])("P1 is refused when it is %j by the rule %s", (prefix, rule) => {
    expect(checkEventKeyPrefix(prefix)).toMatchObject({ ok: false, problem: { rule } });
  });

  test.each([
    ["batch-42:", "batch-42;"],
    ["a", "b"],
    ["a\u{10ffff}", "b"],
    ["\ud7ff", "\ue000"],
    ["\uffff", "\u{10000}"],
    ["\u{10ffff}\u{10ffff}", undefined],
  ])("P1 of %j ends before %j", (prefix, end) => {
    expect(endOfPrefix(prefix)).toBe(end);
  });

  test("P1 begins a key exactly when the key lies in its range of bytes", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "b", "%", "_", "~", "\ud7ff", "\ue000", "\u{10ffff}"),
      maxLength: 4,
    });
    const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    fc.assert(
      fc.property(text, text, (prefix, key) => {
        const end = endOfPrefix(prefix);
        const isInRange = compare(key, prefix) >= 0 && (end === undefined || compare(key, end) < 0);

        expect(isInRange).toBe(key.startsWith(prefix));
      }),
    );
  });
});
