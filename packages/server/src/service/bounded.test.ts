import { describe, expect, test } from "vitest";
import { bounded } from "./bounded.ts";

const endless = (): never => {
  for (;;);
};

describe("bounded", () => {
  test("stops many pieces of code sooner than one, and lets honest ones end", () => {
    const started = performance.now();

    const answers = Array.from({ length: 50 }, () => bounded(500, endless, "too long"));
    const tookMs = performance.now() - started;
    const honest = bounded(500, () => "done", "too long");

    expect(new Set(answers)).toEqual(new Set(["too long"]));
    expect(tookMs).toBeGreaterThan(500);
    expect(tookMs).toBeLessThan(5_000);
    expect(honest).toBe("done");
  });
});
