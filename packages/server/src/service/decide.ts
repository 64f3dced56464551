import type { ErrorIssue, EventTrigger } from "@strait/contract";
import { decideSend, type LatestTrigger, type Send, type SendDecision } from "../domain/decide-send.ts";
import { payloadMismatch } from "../domain/errors.ts";
import { payloadIssues } from "./payload-schema.ts";

/** What becomes of an event: `decideSend`, and what the wait asks of a payload before it takes it. */
export function decide(latest: LatestTrigger | undefined, send: Send): SendDecision {
  const decision = decideSend(latest, send);
  if (decision.kind !== "deliver" || !latest) return decision;
  const [first, ...others] = misfits(latest, send.payload);
  return first ? { kind: "refuse", error: payloadMismatch([first, ...others]), record: "rejected" } : decision;
}

/** What a payload breaks of the schema that was pinned to the wait when it opened. */
export function misfits({ payload_schema }: Pick<EventTrigger, "payload_schema">, payload: unknown): ErrorIssue[] {
  return payload_schema === null ? [] : payloadIssues(payload_schema, payload, "/payload");
}
