import type { EventTrigger, WaitGroupMode, WaitGroupResult } from "@strait/contract";

/** A group of waits: how many of its members must be answered. */
export interface WaitGroup {
  readonly mode: WaitGroupMode;
  readonly needed: number;
  /** Whether its deadline has passed. */
  readonly overdue: boolean;
}

type Member = Pick<EventTrigger, "id" | "event_key" | "status" | "response_payload" | "cancellation">;

/**
 * Decides what becomes of a group after a member has ended. Enough answers count also when the deadline has passed
 * meanwhile: the events were in time.
 *
 * @returns `met`; `timed_out`; `impossible` when what still waits cannot be enough; `open` else.
 */
export function decideGroup(
  { needed, overdue }: WaitGroup,
  members: readonly Pick<Member, "status">[],
): "met" | "timed_out" | "impossible" | "open" {
  const received = members.filter(({ status }) => status === "received").length;
  const waiting = members.filter(({ status }) => status === "waiting").length;
  if (received >= needed) return "met";
  if (overdue) return "timed_out";
  return received + waiting < needed ? "impossible" : "open";
}

/** How many answers a mode needs. */
export function neededBy(mode: WaitGroupMode, count: number | undefined, members: number): number {
  if (mode === "any") return 1;
  return mode === "all" ? members : (count ?? members);
}

/** What the run is told. */
export function groupResult(
  { mode, needed }: Pick<WaitGroup, "mode" | "needed">,
  members: readonly Member[],
  winner: string | null,
): WaitGroupResult {
  return {
    mode,
    count: needed,
    winner,
    results: members.map(({ event_key, id, status, response_payload, cancellation }) => ({
      event_key,
      trigger_id: id,
      status,
      payload: status === "received" ? response_payload : null,
      cancellation,
    })),
  };
}
