import type { ErrorIssue, EventTrigger } from "@strait/contract";
import { decideSend, type LatestTrigger, type Send, type SendDecision } from "../domain/decide-send.ts";
import { payloadMismatch, unheard } from "../domain/errors.ts";
import { type FilteredEvent, passes } from "./filter.ts";
import { payloadIssues } from "./payload-schema.ts";

/** What a wait asks of a payload before it takes it. */
export type WaitTerms = Pick<EventTrigger, "project_id" | "filter" | "payload_schema" | "max_payload_bytes">;

/**
 * What becomes of an event: `decideSend`, and what the wait asks of its payload. A wait with a filter is not there for an
 * event that its filter is not true of, unless the event names that wait.
 */
export function decide(latest: LatestTrigger | undefined, send: Send & FilteredEvent): SendDecision {
  const isNamed = send.generation !== null || send.trigger_id !== null;
  if (latest && !isNamed && !hears(latest, send)) {
    const decision = decideSend(undefined, send);
    return decision.kind === "refuse" ? { ...decision, error: unheard(latest) } : decision;
  }
  const decision = decideSend(latest, send);
  if (decision.kind !== "deliver" || !latest) return decision;
  const [first, ...others] = misfits(latest, send);
  return first ? { kind: "refuse", error: payloadMismatch([first, ...others]), record: "rejected" } : decision;
}

/** Whether the event is meant for the wait. */
export function hears({ project_id, filter }: Pick<WaitTerms, "project_id" | "filter">, event: FilteredEvent): boolean {
  return filter === null || passes(project_id, filter, event);
}

/** What an event breaks of the terms that were pinned to the wait when it opened. */
export function misfits(wait: WaitTerms, event: FilteredEvent): ErrorIssue[] {
  if (!hears(wait, event)) {
    const fix = `send a payload of which the filter of the wait is true: ${wait.filter}`;
    return [{ field: "/payload", rule: "filter", fix }];
  }
  const { project_id, payload_schema, max_payload_bytes } = wait;
  if (max_payload_bytes !== null && Buffer.byteLength(JSON.stringify(event.payload)) > max_payload_bytes) {
    const fix = `send at most ${max_payload_bytes} bytes: the wait shares what its group may hold with the others of it`;
    return [{ field: "/payload", rule: "maxLength", fix }];
  }
  return payload_schema === null ? [] : payloadIssues(project_id, payload_schema, event.payload, "/payload");
}
