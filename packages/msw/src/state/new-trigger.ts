import type { EventTrigger } from "@strait/contract";
import { timestampOf } from "./clock.ts";
import type { Store } from "./store.ts";

/** What tells waits apart, and whatever else one of them asks for. */
export type NewTrigger = Pick<EventTrigger, "id" | "event_key" | "trigger_type" | "timeout_secs"> &
  Partial<Omit<EventTrigger, "source_type" | "status" | "requested_at" | "expires_at">> & {
    /** Instead of a number of seconds. */
    readonly deadline: string | null;
  };

/** A wait that opens now. What it does not ask for is as the server has it. */
export function newTrigger({ clock, project }: Store, { deadline, timeout_secs, ...given }: NewTrigger): EventTrigger {
  // Of one moment, so that a deadline in seven days is that far off.
  const moment = clock.now();
  return {
    ...project,
    generation: 1,
    broadcast: false,
    source_type: given.job_run_id == null ? "workflow_step" : "job_run",
    workflow_run_id: null,
    workflow_step_run_id: null,
    job_run_id: null,
    status: "waiting",
    request_payload: null,
    response_payload: null,
    timeout_secs: deadline === null ? timeout_secs : null,
    requested_at: timestampOf(moment),
    received_at: null,
    finished_at: null,
    expires_at: deadline ?? (timeout_secs === null ? null : timestampOf(moment + timeout_secs * 1_000)),
    grace_secs: 0,
    version: 1,
    error: null,
    cancellation: null,
    notify_url: null,
    notify_status: null,
    sent_by: null,
    payload_schema: null,
    filter: null,
    on_timeout: null,
    timeout_payload: null,
    on_cancel: null,
    tags: {},
    group_id: null,
    max_payload_bytes: null,
    ...given,
  };
}
