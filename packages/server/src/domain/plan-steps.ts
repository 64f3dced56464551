import type { StepRun, WorkflowStep } from "@strait/contract";
import { isTerminalStepStatus } from "@strait/core";
import { type StepStanding, standing } from "./on-failure.ts";

/** What the plan depends on in a workflow's definition; its graph has been checked when it was saved. */
export interface PlannedWorkflow {
  readonly steps: readonly Readonly<
    Pick<WorkflowStep, "step_ref" | "depends_on" | "on_failure"> &
      Partial<Pick<WorkflowStep, "on_timeout" | "timeout_step" | "on_cancel">>
  >[];
}

/** How a step stands now. */
export type StepState = Readonly<
  Pick<StepRun, "step_ref" | "status" | "error"> & Partial<Pick<StepRun, "timed_out" | "cancellation">>
>;

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
 * - The step that a wait names for its timeout starts when that has happened, and is skipped when the wait ended in any
 *   other way; whatever else is behind the wait is skipped then (GR-08).
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
  const byRef = new Map(steps.map((step) => [step.step_ref, step]));
  const satisfies = (dependency: string, ref: string) => byRef.get(dependency)?.towards(ref) === "satisfied";
  const skips: StepAction[] = [];
  const starts: StepAction[] = [];
  for (const { step_ref, status, depends_on } of steps) {
    const because = causes.get(step_ref);
    if (because !== undefined) skips.push({ kind: "skip", step_ref, because });
    else if (status === "pending" && depends_on.every((dependency) => satisfies(dependency, step_ref))) {
      starts.push({ kind: "start", step_ref });
    }
  }
  const hasEnded = steps.every((step) => isTerminalStepStatus(step.status) || causes.has(step.step_ref));
  return hasEnded ? [...skips, { kind: "complete_run" }] : [...skips, ...starts];
}

interface Step extends StepState {
  readonly depends_on: readonly string[];
  readonly standing: StepStanding;
  /** What it means to one step that depends on it. */
  towards(ref: string): StepStanding;
}

function join(workflow: PlannedWorkflow, states: readonly StepState[]): Step[] {
  const byRef = new Map(states.map((state) => [state.step_ref, state]));
  return workflow.steps.map((definition) => {
    const { step_ref, depends_on, timeout_step = null } = definition;
    const state = byRef.get(step_ref);
    if (!state) throw new RangeError(`step "${step_ref}" has no state`);
    const general = standing(state, definition);
    const hasTimedOut = state.status === "failed" && state.timed_out === true;
    const onTimeout = !isTerminalStepStatus(state.status) ? "open" : hasTimedOut ? "satisfied" : "blocking";
    return { ...state, depends_on, standing: general, towards: (ref) => (ref === timeout_step ? onTimeout : general) };
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
  const dependentsOf = (ref: string) => pendingDependents.get(ref) as string[];
  const causes = new Map<string, string>();
  for (const step of steps) {
    const cause = step.step_ref;
    const reached = dependentsOf(cause).filter((ref) => step.towards(ref) === "blocking" && !causes.has(ref));
    for (const ref of reached) causes.set(ref, cause);
    for (const ref of reached) {
      for (const dependent of dependentsOf(ref)) {
        if (causes.has(dependent)) continue;
        causes.set(dependent, cause);
        reached.push(dependent);
      }
    }
  }
  return causes;
}
