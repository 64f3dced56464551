import { expect, test } from "vitest";
import { bounded } from "./bounded.ts";

const endless = (): never => {
  for (;;);
};

test("many different pieces of code are stopped sooner than one, and an honest one still ends", () => {
  const startedAt = performance.now();

  const answers = Array.from({ length: 50 }, (_, index) => bounded(500, `endless ${index}`, endless, "too long"));
  const tookMs = performance.now() - startedAt;
  const honest = bounded(500, "honest", () => "done", "too long");

  expect(new Set(answers)).toEqual(new Set(["too long"]));
  expect(tookMs).toBeGreaterThan(500);
  expect(tookMs).toBeLessThan(5_000);
  expect(honest).toBe("done");
});
