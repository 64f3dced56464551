import type { EventTrigger, Run } from "@strait/contract";
import { effectOf, waitEnded } from "@strait/server/pure";
import { dueAt, endRun, resumeRun, startDueRuns } from "./runs.ts";
import type { Store } from "./store.ts";
import { closesAt, settleDue } from "./waits.ts";
import { completeStep, failStep } from "./workflow-runs.ts";

/** Does what is due by now: waits and sleeps end, runs start, and those who waited for them go on. */
export function catchUp(store: Store): void {
  settleDue(store);
  startDueRuns(store);
  wakeOwners(store);
}

/** Tells runs and steps of what has ended, until that ends nothing more. */
export function wakeOwners(store: Store): void {
  for (let ended = store.ended.shift(); ended; ended = store.ended.shift()) {
    if ("run" in ended) tellStepOfRun(store, ended.run);
    else {
      tellRun(store, ended.trigger);
      tellStepOfTrigger(store, ended.trigger);
    }
  }
}

/** The run that waits goes on, or ends with its wait; one that does not wait keeps its status. */
function tellRun(store: Store, trigger: EventTrigger): void {
  const run = store.runs.get(trigger.job_run_id ?? "");
  if (run?.status !== "waiting") return;
  const { move, resume_reason } = effectOf({ ...trigger, kind: trigger.cancellation?.kind ?? null });
  if (resume_reason === null) {
    const error = trigger.error ?? waitEnded(trigger);
    const error_class = move === "timeOut" ? "timeout" : move === "fail" ? "reported" : null;
    endRun(store, run, move, { error, error_class });
    return;
  }
  const checkpoint = trigger.cancellation ?? trigger.response_payload;
  const isKept = trigger.status === "timed_out" && checkpoint === null;
  resumeRun(store, run, resume_reason, isKept ? {} : { checkpoint });
}

function tellStepOfTrigger(store: Store, trigger: EventTrigger): void {
  const { workflow_run_id, workflow_step_run_id, status, on_timeout, response_payload, error } = trigger;
  if (workflow_run_id === null || workflow_step_run_id === null) return;
  const timed_out = status === "timed_out";
  const step = { workflow_run_id, id: workflow_step_run_id, timed_out, cancellation: trigger.cancellation };
  if (status === "received" || (timed_out && on_timeout === "resolve")) completeStep(store, step, response_payload);
  else failStep(store, step, error ?? status);
}

function tellStepOfRun(store: Store, { workflow_run_id, workflow_step_run_id, status, result, error }: Run): void {
  if (workflow_run_id === null || workflow_step_run_id === null) return;
  const step = { workflow_run_id, id: workflow_step_run_id, timed_out: false, cancellation: null };
  if (status === "completed") completeStep(store, step, result);
  else failStep(store, step, error ?? `the run of the step is ${status}`);
}

/** When the next thing falls due, in milliseconds since 1970; undefined: nothing does. */
export function nextDue({ triggers, events, runs }: Store): number | undefined {
  const times = [
    ...triggers.all().map((trigger) => (trigger.status === "waiting" ? closesAt(trigger) : null)),
    ...events.all().map(({ expires_at }) => expires_at),
    ...runs.all().map(dueAt),
  ];
  const due = times.flatMap((time) => (time === null ? [] : Date.parse(time)));
  return due.length === 0 ? undefined : Math.min(...due);
}
