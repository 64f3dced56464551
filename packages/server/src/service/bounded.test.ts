import { expect, test } from "vitest";
import { bounded } from "./bounded.ts";

const endless = (): never => {
  for (;;);
};

const run = <Result>(projectId: string, code: string, work: () => Result) =>
  bounded({ projectId, ms: 500, code }, work, "too long");

/** Milliseconds that code without an end was given. */
function given(projectId: string, code: string): number {
  const startedAt = performance.now();
  run(projectId, code, endless);
  return performance.now() - startedAt;
}

test("many different pieces of a project's code are stopped sooner than one, and an honest one still ends", () => {
  const startedAt = performance.now();

  const answers = Array.from({ length: 50 }, (_, index) => run("hostile", `endless ${index}`, endless));
  const tookMs = performance.now() - startedAt;
  const honest = run("hostile", "honest", () => "done");

  expect(new Set(answers)).toEqual(new Set(["too long"]));
  expect(tookMs).toBeGreaterThan(500);
  expect(tookMs).toBeLessThan(5_000);
  expect(honest).toBe("done");
});

test("a project that has used up its time takes none of another's, also for the same code", () => {
  for (const index of Array(20).keys()) run("greedy", `endless ${index}`, endless);

  const own = given("greedy", "one more");
  const others = given("modest", "endless 0");

  expect(own).toBeLessThan(150);
  expect(others).toBeGreaterThan(400);
});
