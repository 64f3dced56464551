import type { ResumeReason } from "@strait/contract";
import type { RunMove, TriggerMove } from "@strait/core";

/** What a run is told that goes on after its wait has ended so. Why it was canceled is in the cancellation. */
export const resumeReasons = {
  receive: "event",
  timeOut: "timeout",
  cancel: "canceled",
  reject: "rejected",
  supersede: "canceled",
} as const satisfies Record<TriggerMove, ResumeReason>;

/** How a wait has ended, and what its run wants of that. */
export interface EndedWait {
  readonly status: string;
  /** Of the cancellation, where it was canceled. */
  readonly kind: string | null;
  readonly on_timeout: string | null;
  readonly on_cancel: string | null;
}

/** What the end of a wait means for the run that waited: it goes on, or it ends. */
export function effectOf(ended: EndedWait): { move: RunMove; resume_reason: ResumeReason | null } {
  const [cause, end, policy] = causeOf(ended);
  return policy === "resume" || policy === "resolve"
    ? { move: "resume", resume_reason: resumeReasons[cause] }
    : { move: end, resume_reason: null };
}

function causeOf({ status, kind, on_timeout, on_cancel }: EndedWait): [TriggerMove, RunMove, string | null] {
  if (status === "received") return ["receive", "resume", "resume"];
  if (status === "timed_out") return ["timeOut", "timeOut", on_timeout];
  return kind === "rejected" ? ["reject", "fail", on_cancel] : ["cancel", "cancel", on_cancel];
}
