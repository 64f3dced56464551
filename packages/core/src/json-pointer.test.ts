import { expect, test } from "vitest";
import { jsonPointer } from "./json-pointer.ts";

test("a JSON pointer escapes what has a meaning in it", () => {
  expect(jsonPointer()).toBe("");
  expect(jsonPointer("steps", 2, "depends_on", 0)).toBe("/steps/2/depends_on/0");
  expect(jsonPointer("a/b", "m~n", "", "~1")).toBe("/a~1b/m~0n//~01");
});
