import { jsonEquals } from "@strait/core";
import {
  type DeletedTrigger,
  decideSend,
  isNamed,
  type LatestTrigger,
  type Send,
  type SendDecision,
} from "./decide-send.ts";
import type { FilteredEvent, TermsJudge } from "./judge.ts";

/** How a key stands. */
export interface Standing {
  /** In the order in which they opened: one, or several that joined or broadcast. */
  readonly waiting: readonly LatestTrigger[];
  /** The latest trigger that was named so; undefined for a key that nobody ever waited on. */
  readonly latest: LatestTrigger | undefined;
  /** Those that a caller named, which shared the key with these and have ended. */
  readonly named: readonly LatestTrigger[];
  /** The latest trigger where it has been deleted; looked for only where a caller names a wait. */
  readonly deleted?: DeletedTrigger;
}

export const NOBODY: Standing = { waiting: [], latest: undefined, named: [] };

/** The trigger that a caller meets: the one that is named, or else opened last of those that wait; else the latest. */
export function metBy({ waiting, latest, named }: Standing, triggerId: string | null): LatestTrigger | undefined {
  const isMeant = ({ id }: LatestTrigger) => id === triggerId;
  return waiting.find(isMeant) ?? named.find(isMeant) ?? waiting.at(-1) ?? latest;
}

type MeetingEvent = Send & FilteredEvent;
type Judge = Pick<TermsJudge, "decide" | "hears">;

/** The waits that an event meets, and what becomes of it. */
export interface Meeting {
  /** The one that the answer shows. */
  readonly met: LatestTrigger | undefined;
  /** Those that share the key with it and hear the event too. */
  readonly others: readonly LatestTrigger[];
  /** All that hear it. */
  readonly hearing: readonly LatestTrigger[];
  readonly decision: SendDecision;
}

/**
 * Finds the waits that an event meets on its key. Waits that share it are answered together: all that the event is meant
 * for take it, or refuse it. One that names a wait is meant for all of them; else those whose filter is not true of it are
 * not there. An event that repeats the answer to those that have just ended was not meant for those that still wait.
 */
export function meet(standing: Standing, event: MeetingEvent, judge: Judge): Meeting {
  const hearing = isNamed(event) ? standing.waiting : standing.waiting.filter((wait) => judge.hears(wait, event));
  const isRepeat = hearing.length === 0 && !event.for_next && repeats(standing.latest, event);
  const met = metBy(hearing.length > 0 || isRepeat ? { ...standing, waiting: hearing } : standing, event.trigger_id);
  const others = hearing.filter((wait) => wait !== met);
  const decision = met ? decideAll(met, others, event, judge) : decideSend(undefined, event, standing.deleted);
  return { met, others, hearing, decision };
}

const repeats = (latest: LatestTrigger | undefined, { payload }: Send): boolean =>
  latest?.status === "received" && jsonEquals(latest.response_payload, payload);

/** What becomes of an event that several waits would take: what all of them agree to. */
function decideAll(
  met: LatestTrigger,
  others: readonly LatestTrigger[],
  event: MeetingEvent,
  judge: Judge,
): SendDecision {
  const decision = judge.decide(met, event);
  if (decision.kind !== "deliver") return decision;
  const unnamed = { ...event, trigger_id: null };
  for (const other of others) {
    const another = judge.decide(other, unnamed);
    if (another.kind !== "deliver") return another;
  }
  return decision;
}
