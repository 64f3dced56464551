import type { OnFailure, StepStatus } from "@strait/contract";

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

const afterFailure: Readonly<Record<OnFailure, StepStanding>> = {
  fail_workflow: "fatal",
  skip_dependents: "blocking",
  continue: "satisfied",
};

/**
 * Applies a step's `on_failure`. A timeout is a `failed` step, and a step that was canceled on its own counts as failed
 * too (a canceled wait fails its step).
 *
 * A skipped step blocks whatever its `on_failure` says: it did not fail, and what was skipped is everything behind the
 * step that did, through any number of steps.
 */
export function standing(status: StepStatus, onFailure: OnFailure): StepStanding {
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
      return afterFailure[onFailure];
  }
}
