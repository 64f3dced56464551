import { type OnFailure, onFailures, type StepStatus } from "@strait/contract";
import { isTerminalStepStatus, type StepMove, stepMoves } from "@strait/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PlannedWorkflow, planSteps, type StepAction } from "./plan-steps.ts";

type PlannedStep = PlannedWorkflow["steps"][number];

function step(step_ref: string, depends_on: string[] = [], on_failure: OnFailure = "fail_workflow"): PlannedStep {
  return { step_ref, depends_on, on_failure };
}

/** The plan for `steps` in the order of the definition, given their statuses in the same order. */
function plan(steps: readonly PlannedStep[], ...statuses: StepStatus[]): StepAction[] {
  const states = steps.map(({ step_ref }, index) => ({ step_ref, status: statuses[index] ?? "pending", error: null }));
  return planSteps({ steps }, states);
}

const start = (step_ref: string): StepAction => ({ kind: "start", step_ref });
const skip = (step_ref: string, because: string): StepAction => ({ kind: "skip", step_ref, because });
const cancel = (step_ref: string): StepAction => ({ kind: "cancel", step_ref });
const completeRun: StepAction = { kind: "complete_run" };

const kyc = [step("collect-data"), step("aml-check", ["collect-data"]), step("create-account", ["aml-check"])];
const diamond = [step("a"), step("b", ["a"]), step("c", ["a"]), step("d", ["b", "c"])];

describe("the plan of a workflow run", () => {
  test("starts with the steps that depend on nothing", () => {
    expect(plan(kyc)).toEqual([start("collect-data")]);
    expect(plan([step("a"), step("b"), step("c", ["a", "b"])])).toEqual([start("a"), start("b")]);
  });

  test("goes on when a step has completed", () => {
    expect(plan(kyc, "completed")).toEqual([start("aml-check")]);
    expect(plan(diamond, "completed")).toEqual([start("b"), start("c")]);
  });

  test("leaves alone what runs or is parked", () => {
    expect(plan(kyc, "running")).toEqual([]);
    expect(plan(kyc, "completed", "waiting")).toEqual([]);
    // A parked branch does not hold up the other one.
    expect(plan(diamond, "completed", "waiting", "pending")).toEqual([start("c")]);
  });

  test("waits for every dependency", () => {
    expect(plan(diamond, "completed", "completed", "running")).toEqual([]);
    expect(plan(diamond, "completed", "completed", "completed")).toEqual([start("d")]);
  });

  test("counts a dependency once that is written twice", () => {
    expect(plan([step("a"), step("b", ["a", "a"])], "completed")).toEqual([start("b")]);
  });

  test("completes the run with its last step", () => {
    expect(plan(kyc, "completed", "completed", "completed")).toEqual([completeRun]);
    expect(plan([])).toEqual([completeRun]);
  });

  test("does not depend on the order of the states", () => {
    const states = diamond.map(({ step_ref }) => ({ step_ref, status: "pending" as const, error: null }));
    expect(planSteps({ steps: diamond }, states.reverse())).toEqual([start("a")]);
  });

  test("cannot be made without the state of a step", () => {
    expect(() => planSteps({ steps: kyc }, [])).toThrow('step "collect-data" has no state');
  });
});

describe("GR-08 a wait with a step for its timeout", () => {
  const steps: PlannedStep[] = [
    { ...step("approval", [], "fail_workflow"), on_timeout: "step", timeout_step: "escalate" },
    step("publish", ["approval"]),
    step("escalate", ["approval"]),
    step("report", ["escalate"]),
    step("both", ["publish", "escalate"]),
  ];
  const states = (approval: { status: StepStatus; timed_out?: boolean }) =>
    steps.map(({ step_ref }) => ({
      step_ref,
      status: "pending" as StepStatus,
      error: null,
      ...(step_ref === "approval" ? approval : {}),
    }));

  test("starts neither while it waits", () => {
    expect(planSteps({ steps }, states({ status: "waiting" }))).toEqual([]);
  });

  test("starts that step on the timeout, and skips what is behind the wait", () => {
    expect(planSteps({ steps }, states({ status: "failed", timed_out: true }))).toEqual([
      skip("publish", "approval"),
      skip("both", "approval"),
      start("escalate"),
    ]);
  });

  test("skips that step, and what is behind it, when an event came first", () => {
    expect(planSteps({ steps }, states({ status: "completed" }))).toEqual([
      skip("escalate", "approval"),
      skip("report", "approval"),
      skip("both", "approval"),
      start("publish"),
    ]);
  });

  test("skips both when the wait itself is skipped, and fails the run when it is canceled", () => {
    expect(planSteps({ steps }, states({ status: "skipped" })).map(({ kind }) => kind)).toEqual([
      ...Array.from({ length: 4 }, () => "skip"),
      "complete_run",
    ]);
    expect(planSteps({ steps }, states({ status: "failed" })).at(-1)).toMatchObject({ kind: "fail_run" });
  });

  test("never starts that step without the timeout, also where a failure is ignored", () => {
    const lenient = steps.map((each) => ({ ...each, on_failure: "continue" as const }));
    expect(planSteps({ steps: lenient }, states({ status: "failed" }))).toEqual([
      skip("escalate", "approval"),
      skip("report", "approval"),
      skip("both", "approval"),
      start("publish"),
    ]);
  });
});

describe("a failed step", () => {
  test("fails the workflow by default, and everything that has not ended is canceled", () => {
    const steps = [step("done"), step("failed"), step("running"), step("parked"), step("open", ["running"])];
    expect(plan(steps, "completed", "failed", "running", "waiting", "pending")).toEqual([
      cancel("running"),
      cancel("parked"),
      cancel("open"),
      { kind: "fail_run", step_ref: "failed", error: 'step "failed" failed' },
    ]);
  });

  test("says why the run failed", () => {
    const failed = { step_ref: "aml", status: "failed" as const, error: "event trigger timed out" };
    expect(planSteps({ steps: [step("aml")] }, [failed])).toEqual([
      { kind: "fail_run", step_ref: "aml", error: 'step "aml" failed: event trigger timed out' },
    ]);
    expect(plan([step("aml")], "canceled")).toEqual([
      { kind: "fail_run", step_ref: "aml", error: 'step "aml" was canceled' },
    ]);
  });

  test("with skip_dependents skips all that is behind it, while other branches go on", () => {
    const steps = [
      step("a", [], "skip_dependents"),
      step("b", ["a"]),
      step("c", ["b"], "continue"),
      step("d", ["c", "x"]),
      step("x"),
      step("y", ["x"]),
    ];
    expect(plan(steps, "failed", "pending", "pending", "pending", "completed")).toEqual([
      skip("b", "a"),
      skip("c", "a"),
      skip("d", "a"),
      start("y"),
    ]);
    expect(plan(steps, "failed", "pending", "pending", "pending", "running").slice(-1)).toEqual([skip("d", "a")]);
  });

  test("completes the run with the plan that skips the last steps", () => {
    expect(plan([step("a", [], "skip_dependents"), step("b", ["a"])], "failed")).toEqual([skip("b", "a"), completeRun]);
    expect(plan([step("a", [], "skip_dependents"), step("b", ["a"])], "failed", "skipped")).toEqual([completeRun]);
  });

  test("with continue counts as if it had completed", () => {
    const steps = [step("a", [], "continue"), step("b", ["a"])];
    expect(plan(steps, "failed")).toEqual([start("b")]);
    expect(plan(steps, "failed", "completed")).toEqual([completeRun]);
  });

  test("names one cause for a step that two failures skip: the first in the definition", () => {
    const steps = [step("a", [], "skip_dependents"), step("b", [], "skip_dependents"), step("c", ["b", "a"])];
    expect(plan(steps, "failed", "failed")).toEqual([skip("c", "a"), completeRun]);
  });

  test("skips nothing behind a step that has moved on all the same", () => {
    const steps = [step("a", [], "skip_dependents"), step("b", ["a"]), step("c", ["b"])];
    expect(plan(steps, "failed", "completed")).toEqual([start("c")]);
  });

  test("ignores a dependency that does not exist, which cannot be saved", () => {
    expect(plan([step("a", ["ghost"])])).toEqual([]);
  });
});

type Outcome = "complete" | "fail" | "cancel";

interface Scenario {
  readonly steps: readonly PlannedStep[];
  /** How each step ends, and whether it parks first. */
  readonly fates: Readonly<Record<string, { readonly outcome: Outcome; readonly parks: boolean }>>;
}

const scenario: fc.Arbitrary<Scenario> = fc.integer({ min: 1, max: 10 }).chain((size) => {
  const refs = Array.from({ length: size }, (_, index) => `s${index}`);
  const steps = refs.map((ref, index) =>
    fc
      .tuple(fc.subarray(refs.slice(0, index), { maxLength: Math.min(index, 3) }), fc.constantFrom(...onFailures))
      .map(([depends_on, on_failure]) => step(ref, depends_on, on_failure)),
  );
  const outcome = fc.oneof(
    { weight: 4, arbitrary: fc.constant<Outcome>("complete") },
    { weight: 1, arbitrary: fc.constantFrom<Outcome>("fail", "cancel") },
  );
  const fate = fc.record({ outcome, parks: fc.boolean() });
  return fc.record({
    steps: fc.tuple(...steps).chain((each) => fc.shuffledSubarray(each, { minLength: size })),
    fates: fc.tuple(...refs.map(() => fate)).map((each) => Object.fromEntries(refs.map((ref, i) => [ref, each[i]]))),
  }) as fc.Arbitrary<Scenario>;
});

/** How a scenario must end, said without time: each step from its dependencies, the run from its steps. */
function expectedEnd({ steps, fates }: Scenario): "failed" | Record<string, StepStatus> {
  const byRef = new Map(steps.map((each) => [each.step_ref, each]));
  const ends: Record<string, StepStatus> = {};
  let isFatal = false;
  const endOf = (ref: string): StepStatus => {
    const { depends_on } = byRef.get(ref) as PlannedStep;
    const isBlocked = depends_on.map((dependency) => {
      const end = endOf(dependency);
      const onFailure = byRef.get(dependency)?.on_failure;
      return end === "skipped" || (end !== "completed" && onFailure !== "continue");
    });
    ends[ref] ??= isBlocked.includes(true)
      ? "skipped"
      : stepMoves[(fates[ref] as Scenario["fates"][string]).outcome].to;
    return ends[ref];
  };
  for (const { step_ref, on_failure } of steps) {
    const end = endOf(step_ref);
    if (on_failure === "fail_workflow" && (end === "failed" || end === "canceled")) isFatal = true;
  }
  return isFatal ? "failed" : ends;
}

/** Runs a scenario as the server would, with `chance` deciding what ends when and what is reported twice. */
function play({ steps, fates }: Scenario, chance: () => number): "failed" | Record<string, StepStatus> {
  const statuses: Record<string, StepStatus> = Object.fromEntries(steps.map((each) => [each.step_ref, "pending"]));
  const started: string[] = [];
  let ended: "completed" | "failed" | undefined;

  /** A guarded move, as `store.move` makes it. */
  const move = (ref: string, name: StepMove) => {
    const { from, to } = stepMoves[name];
    if ((from as readonly StepStatus[]).includes(statuses[ref] as StepStatus)) statuses[ref] = to;
  };
  const currentPlan = () =>
    planSteps(
      { steps },
      Object.entries(statuses).map(([step_ref, status]) => ({ step_ref, status, error: null })),
    );
  const advance = () => {
    for (const action of currentPlan()) {
      if (action.kind === "start") {
        started.push(action.step_ref);
        move(action.step_ref, fates[action.step_ref]?.parks ? "park" : "start");
      } else if (action.kind === "skip" || action.kind === "cancel") move(action.step_ref, action.kind);
      else ended = action.kind === "complete_run" ? "completed" : "failed";
    }
    if (!ended) expect(currentPlan()).toEqual([]);
  };
  const finish = (ref: string) => move(ref, (fates[ref] as Scenario["fates"][string]).outcome);

  const liveSteps = () => started.filter((ref) => !isTerminalStepStatus(statuses[ref] as StepStatus));

  advance();
  while (!ended) {
    const live = liveSteps();
    if (live.length === 0) throw new Error(`the run hangs: ${JSON.stringify(statuses)}`);
    finish(live[chance() % live.length] as string);
    // Another one ends too, or one that has ended is reported again.
    finish(started[chance() % started.length] as string);
    // Whoever advances the run may be late, but comes.
    if (chance() % 3 !== 0 || liveSteps().length === 0) advance();
  }

  expect(new Set(started).size).toBe(started.length);
  expect(Object.values(statuses).every(isTerminalStepStatus)).toBe(true);
  return ended === "failed" ? "failed" : statuses;
}

test("however the ends of steps are ordered, repeated and bundled, outcomes alone decide how a run ends", () => {
  fc.assert(
    fc.property(scenario, fc.array(fc.nat(), { minLength: 1, maxLength: 50 }), (story, numbers) => {
      let turn = 0;
      const end = play(story, () => numbers[turn++ % numbers.length] as number);
      expect(end).toEqual(expectedEnd(story));
    }),
    { numRuns: 500 },
  );
});

test("a plan for a thousand steps that depend on each other is made in milliseconds", () => {
  const steps = Array.from({ length: 1000 }, (_, index) =>
    step(
      `s${index}`,
      Array.from({ length: Math.min(index, 100) }, (_, back) => `s${index - back - 1}`),
    ),
  );
  const began = performance.now();
  expect(plan(steps, "completed")).toEqual([start("s1")]);
  expect(performance.now() - began).toBeLessThan(500);
});
