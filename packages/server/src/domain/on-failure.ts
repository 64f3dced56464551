import type { OnFailure, StepCancelPolicy, StepRun, StepTimeoutPolicy } from "@strait/contract";

/** What a step means to the steps that depend on it, and to the workflow run. */
export type StepStanding =
  /** It has not ended, so they wait. */
  | "open"
  /** They may start, as far as this step is concerned. */
  | "satisfied"
  /** They are skipped. */
  | "blocking"
  /** The workflow run fails. */
  | "fatal";

/** What a timeout means where the step says so itself; `resolve` completes the step instead. */
const afterTimeout: Readonly<Record<StepTimeoutPolicy, StepStanding>> = {
  fail: "fatal",
  skip_dependents: "blocking",
  continue: "satisfied",
  resolve: "satisfied",
  // What goes on is the step that is named, and nothing else behind the wait.
  step: "blocking",
};

const afterCancel: Readonly<Record<StepCancelPolicy, StepStanding>> = {
  fail: "fatal",
  skip_dependents: "blocking",
  continue: "satisfied",
};

const afterFailure: Readonly<Record<OnFailure, StepStanding>> = {
  fail_workflow: "fatal",
  skip_dependents: "blocking",
  continue: "satisfied",
};

/** What a step says about its own failure. */
export interface FailurePolicies {
  readonly on_failure: OnFailure;
  /** Null, or absent in older definitions: a timeout is a failure like any other. */
  readonly on_timeout?: StepTimeoutPolicy | null;
  /** The same for a wait that was canceled, rejected or superseded. */
  readonly on_cancel?: StepCancelPolicy | null;
}

/**
 * Applies a step's `on_timeout` and `on_cancel` (R5), and its `on_failure` (ST-18). A timeout is a `failed` step, and so is a wait that was
 * canceled; a step that was canceled on its own counts as failed too.
 *
 * A skipped step blocks whatever its `on_failure` says: it did not fail, and what was skipped is everything behind the
 * step that did, through any number of steps.
 */
export function standing(
  {
    status,
    timed_out = false,
    cancellation = null,
  }: Pick<StepRun, "status"> & Partial<Pick<StepRun, "timed_out" | "cancellation">>,
  { on_failure, on_timeout = null, on_cancel = null }: FailurePolicies,
): StepStanding {
  switch (status) {
    case "pending":
    case "waiting":
    case "running":
      return "open";
    case "completed":
      return "satisfied";
    case "skipped":
      return "blocking";
    case "failed":
    case "canceled":
      if (timed_out && on_timeout !== null) return afterTimeout[on_timeout];
      if (cancellation !== null && on_cancel !== null) return afterCancel[on_cancel];
      return afterFailure[on_failure];
  }
}
