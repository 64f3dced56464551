import { describe, expect, test } from "vitest";
import { titlesOf } from "./test-titles.ts";

describe("the titles of a test file", () => {
  test("are those of tests and groups, plain or from a table, and nothing else", () => {
    const source = [
      'describe("a send", () => {',
      "  test('is kept', () => { expect(send(\"U1 no title\")).toBe(1); });",
      '  test.each([["R9 a row"]])("of %s", () => {});',
      '  test.skip(\n    "is late",\n    () => {},\n  );',
      "  test(`is in time`, () => {});",
      "});",
      'describe.each([1, 3])("%i processes", () => {});',
    ].join("\n");

    expect(titlesOf(source)).toEqual(["a send", "is kept", "of %s", "is late", "is in time", "%i processes"]);
  });
});
