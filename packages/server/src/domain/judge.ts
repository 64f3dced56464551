import type { ErrorIssue, EventTrigger } from "@strait/contract";
import { decideSend, isNamed, type LatestTrigger, type Send, type SendDecision } from "./decide-send.ts";
import { payloadMismatch, unheard } from "./errors.ts";

/** What a filter sees of an event. */
export interface FilteredEvent {
  readonly event_key: string;
  readonly payload: unknown;
  readonly actor: string;
}

/** What a wait asks of a payload before it takes it. */
export type WaitTerms = Pick<EventTrigger, "filter" | "payload_schema" | "max_payload_bytes">;

/** How terms are evaluated, which takes more than a decision may. */
export interface Evaluation {
  passes(filter: string, event: FilteredEvent): boolean;
  payloadIssues(schema: unknown, payload: unknown, base: string): ErrorIssue[];
}

/** Decides about events as the terms of waits ask. */
export interface TermsJudge {
  /**
   * What becomes of an event: `decideSend`, and what the wait asks of its payload. A wait with a filter is not there for an
   * event that its filter is not true of, unless the event names that wait.
   */
  decide(latest: LatestTrigger | undefined, send: Send & FilteredEvent): SendDecision;
  /** Whether the event is meant for the wait. */
  hears(wait: Pick<WaitTerms, "filter">, event: FilteredEvent): boolean;
  /** What an event breaks of the terms that were pinned to the wait when it opened. */
  misfits(wait: WaitTerms, event: FilteredEvent): ErrorIssue[];
}

export function judgeBy({ passes, payloadIssues }: Evaluation): TermsJudge {
  function decide(latest: LatestTrigger | undefined, send: Send & FilteredEvent): SendDecision {
    if (latest && !isNamed(send) && !hears(latest, send)) {
      const decision = decideSend(undefined, send);
      return decision.kind === "refuse" ? { ...decision, error: unheard(latest) } : decision;
    }
    const decision = decideSend(latest, send);
    if (decision.kind !== "deliver" || !latest) return decision;
    const [first, ...others] = misfits(latest, send);
    return first ? { kind: "refuse", error: payloadMismatch([first, ...others]), record: "rejected" } : decision;
  }

  function hears({ filter }: Pick<WaitTerms, "filter">, event: FilteredEvent): boolean {
    return filter === null || passes(filter, event);
  }

  function misfits(wait: WaitTerms, event: FilteredEvent): ErrorIssue[] {
    if (!hears(wait, event)) {
      const fix = `send a payload of which the filter of the wait is true: ${wait.filter}`;
      return [{ field: "/payload", rule: "filter", fix }];
    }
    const { max_payload_bytes } = wait;
    if (max_payload_bytes !== null && bytesOf(event.payload) > max_payload_bytes) {
      const fix = `send at most ${max_payload_bytes} bytes: the wait shares what its group may hold with the others of it`;
      return [{ field: "/payload", rule: "maxLength", fix }];
    }
    return wait.payload_schema === null ? [] : payloadIssues(wait.payload_schema, event.payload, "/payload");
  }

  return { decide, hears, misfits };
}

const bytesOf = (payload: unknown): number => new TextEncoder().encode(JSON.stringify(payload)).length;
