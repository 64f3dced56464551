import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  dependencyTest,
  type GraphStep,
  graphProblems,
  rootSteps,
  topologicalOrder,
  transitiveDependents,
} from "./graph.ts";

const step = (step_ref: string, ...depends_on: string[]): GraphStep => ({ step_ref, depends_on });
const diamond = [step("end", "left", "right"), step("left", "start"), step("right", "start", "start"), step("start")];

describe("the graph of steps", () => {
  test("is fine when every step can run", () => {
    expect(graphProblems([])).toEqual([]);
    expect(graphProblems(diamond)).toEqual([]);
    expect(rootSteps(diamond)).toEqual(["start"]);
    expect(topologicalOrder(diamond)).toEqual(["start", "left", "right", "end"]);
  });

  test("has no two steps of one name", () => {
    expect(graphProblems([step("a"), step("b", "a"), step("a", "b"), step("a", "b")])).toMatchObject([
      { rule: "uniqueRef", pointer: "/2/step_ref", fix: 'rename this step: another one is called "a" too' },
      { rule: "uniqueRef", pointer: "/3/step_ref" },
      { rule: "noCycle" },
    ]);
  });

  test("has no dependency on a step that does not exist", () => {
    expect(graphProblems([step("a"), step("b", "a", "c")])).toEqual([
      { rule: "knownRef", pointer: "/1/depends_on/1", fix: 'add a step "c", or remove it from the depends_on of "b"' },
    ]);
  });

  test("has no step that waits for itself", () => {
    expect(graphProblems([step("a", "a"), step("b", "a")])).toEqual([
      { rule: "noSelfDependency", pointer: "/0/depends_on/0", fix: 'remove "a" from its own depends_on' },
    ]);
  });

  test("has no cycle, and a cycle is shown without the steps before and behind it", () => {
    const steps = [step("before"), step("behind", "x"), step("x", "before", "z"), step("y", "x"), step("z", "y")];
    expect(graphProblems(steps)).toEqual([
      {
        rule: "noCycle",
        pointer: "/2/depends_on",
        fix: "remove one dependency of the cycle x → z → y → x (each step depends on the next)",
      },
    ]);
    expect(() => topologicalOrder(steps)).toThrow("these steps are in a cycle or behind one: behind, x, y, z");
  });

  test("knows what is behind and before a step, through others too", () => {
    expect(transitiveDependents(diamond, "start")).toEqual(["end", "left", "right"]);
    expect(transitiveDependents(diamond, "end")).toEqual([]);
    const dependsOn = dependencyTest(diamond);
    expect(dependsOn("end", "start")).toBe(true);
    expect(dependsOn("start", "end")).toBe(false);
    expect(dependsOn("start", "start")).toBe(false);
    expect(dependsOn("end", "unknown")).toBe(false);
    expect(dependsOn("unknown", "start")).toBe(false);
  });
});

/** Steps that mostly depend on earlier ones, so that some graphs have cycles. */
const anySteps = fc.integer({ min: 1, max: 12 }).chain((size) => {
  const refs = Array.from({ length: size }, (_, index) => `s${index}`);
  const dependencies = (index: number) =>
    fc.array(
      fc.oneof(
        { weight: 30, arbitrary: fc.constantFrom(...refs.slice(0, Math.max(index, 1))) },
        { weight: 1, arbitrary: fc.constantFrom(...refs) },
      ),
      { maxLength: index === 0 ? 0 : 3 },
    );
  const steps = refs.map((ref, index) => dependencies(index).map((on) => step(ref, ...on)));
  return fc.tuple(...steps).chain((each) => fc.shuffledSubarray(each, { minLength: size }));
});

test("a graph without problems has an order that respects it, and one with a cycle has none", () => {
  fc.assert(
    fc.property(anySteps, (steps) => {
      if (graphProblems(steps).length > 0) {
        expect(() => topologicalOrder(steps)).toThrow(RangeError);
        return;
      }
      const order = topologicalOrder(steps);
      expect([...order].sort()).toEqual(steps.map((each) => each.step_ref).sort());
      for (const { step_ref, depends_on } of steps) {
        for (const dependency of depends_on) expect(order.indexOf(dependency)).toBeLessThan(order.indexOf(step_ref));
      }
    }),
  );
});

test("dependents and dependencies are two views of one relation", () => {
  fc.assert(
    fc.property(anySteps, (steps) => {
      fc.pre(graphProblems(steps).length === 0);
      const dependsOn = dependencyTest(steps);
      for (const { step_ref: a } of steps) {
        const dependents = steps.map((each) => each.step_ref).filter((b) => dependsOn(b, a));
        expect(transitiveDependents(steps, a)).toEqual(dependents);
      }
    }),
  );
});
