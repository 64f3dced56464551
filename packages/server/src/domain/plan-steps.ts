import type { StepRun, WorkflowStep } from "@strait/contract";
import { isTerminalStepStatus } from "@strait/core";
import { type StepStanding, standing } from "./on-failure.ts";

/** What the plan depends on in a workflow's definition; its graph has been checked when it was saved. */
export interface PlannedWorkflow {
  readonly steps: readonly Readonly<Pick<WorkflowStep, "step_ref" | "depends_on" | "on_failure">>[];
}

/** How a step stands now. */
export type StepState = Readonly<Pick<StepRun, "step_ref" | "status" | "error">>;

export type StepAction =
  | { readonly kind: "start"; readonly step_ref: string }
  /** `because` is the step that failed or was skipped, which need not be a direct dependency. */
  | { readonly kind: "skip"; readonly step_ref: string; readonly because: string }
  | { readonly kind: "cancel"; readonly step_ref: string }
  | { readonly kind: "complete_run" }
  /** `step_ref` is the step whose failure is fatal. */
  | { readonly kind: "fail_run"; readonly step_ref: string; readonly error: string };

/**
 * Decides what happens next in a workflow run, from nothing but its definition and the states of its steps. So it does
 * not matter which step ended last, in which order, or how often that was reported.
 *
 * - A pending step starts when each of its dependencies is satisfied. Parked and running steps are never candidates.
 * - A pending step is skipped as soon as one dependency blocks it, even while others still run.
 * - A fatal failure cancels every step that has not ended, and fails the run; nothing else happens then.
 * - The run completes when every step has ended, in the plan that skips the last ones.
 *
 * Actions come in the order in which they should be applied; those of one kind in the order of the definition. A plan
 * that was applied is not made again, but one that ends the run is: ask only while the run has not ended. While it is
 * paused, leave out `start`; it comes again. A step that fails as it is started calls for another plan.
 *
 * @param states - One for each step of the definition; the order does not matter.
 * @throws {RangeError} When a step has no state, which is a bug in the caller.
 */
export function planSteps(workflow: PlannedWorkflow, states: readonly StepState[]): StepAction[] {
  const steps = join(workflow, states);
  const fatal = steps.find((step) => step.standing === "fatal");
  if (fatal) return failRun(steps, fatal);

  const causes = blockingCauses(steps);
  const satisfied = new Set(steps.filter((step) => step.standing === "satisfied").map((step) => step.step_ref));
  const skips: StepAction[] = [];
  const starts: StepAction[] = [];
  for (const { step_ref, status, depends_on } of steps) {
    const because = causes.get(step_ref);
    if (because !== undefined) skips.push({ kind: "skip", step_ref, because });
    else if (status === "pending" && depends_on.every((dependency) => satisfied.has(dependency))) {
      starts.push({ kind: "start", step_ref });
    }
  }
  const hasEnded = steps.every((step) => isTerminalStepStatus(step.status) || causes.has(step.step_ref));
  return hasEnded ? [...skips, { kind: "complete_run" }] : [...skips, ...starts];
}

interface Step extends StepState {
  readonly depends_on: readonly string[];
  readonly standing: StepStanding;
}

function join(workflow: PlannedWorkflow, states: readonly StepState[]): Step[] {
  const byRef = new Map(states.map((state) => [state.step_ref, state]));
  return workflow.steps.map(({ step_ref, depends_on, on_failure }) => {
    const state = byRef.get(step_ref);
    if (!state) throw new RangeError(`step "${step_ref}" has no state`);
    return { ...state, depends_on, standing: standing(state.status, on_failure) };
  });
}

function failRun(steps: readonly Step[], fatal: Step): StepAction[] {
  const { step_ref, status, error } = fatal;
  const why = `step "${step_ref}" ${status === "canceled" ? "was canceled" : "failed"}${error === null ? "" : `: ${error}`}`;
  const live = steps.filter((step) => !isTerminalStepStatus(step.status));
  return [
    ...live.map((step): StepAction => ({ kind: "cancel", step_ref: step.step_ref })),
    { kind: "fail_run", step_ref, error: why },
  ];
}

/** The pending steps behind a blocking one, each with the blocking step. A step that has moved on blocks nothing behind it. */
function blockingCauses(steps: readonly Step[]): Map<string, string> {
  const pendingDependents = new Map<string, string[]>(steps.map((step) => [step.step_ref, []]));
  for (const { step_ref, status, depends_on } of steps) {
    if (status !== "pending") continue;
    for (const dependency of depends_on) pendingDependents.get(dependency)?.push(step_ref);
  }
  const causes = new Map<string, string>();
  for (const { step_ref: cause, standing } of steps) {
    if (standing !== "blocking") continue;
    const reached = [cause];
    for (const ref of reached) {
      for (const dependent of pendingDependents.get(ref) as string[]) {
        if (causes.has(dependent)) continue;
        causes.set(dependent, cause);
        reached.push(dependent);
      }
    }
  }
  return causes;
}
