import type { EventTrigger } from "@strait/contract";
import { otherVersion, severalWait } from "../domain/conflicts.ts";
import type { MeantWait } from "../domain/decide-send.ts";
import { conflict } from "../domain/errors.ts";
import * as triggers from "../store/triggers.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";
import { changeWait } from "./current-wait.ts";

export interface Extension extends MeantWait {
  /** Seconds from now; null, without a `deadline`, for no deadline. */
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
  /** The version that the caller has seen; null takes any. */
  readonly version: number | null;
}

/**
 * Gives the wait on a key another deadline, later or earlier (R4). A timer compares the deadline as it ends the wait, so
 * one that was set for the old deadline does nothing (R3).
 *
 * @throws {StraitError} `not_found`, `stale_generation`, `wait_closed`; `expectation_failed` for another version;
 *   `conflict` when several wait on the key and none is named.
 */
export async function extendEvent(context: Context, caller: Caller, extension: Extension): Promise<EventTrigger> {
  const { timeout_secs, deadline, version } = extension;
  const extended = await changeWait(context, caller, extension, "extended", async (tx, [wait, ...others]) => {
    if (!wait) return undefined;
    if (others.length > 0) throw severalWait(wait.event_key, others.length + 1);
    if (wait.group_id !== null) throw hasDeadlineOfGroup(wait);
    if (version !== null && version !== wait.version) throw otherVersion(wait, version);
    const { project_id, id } = wait;
    const change = { project_id, id, timeout_secs, deadline, actor: caller.actor };
    const trigger = await triggers.changeDeadline(tx, change);
    if (!trigger) return undefined;
    await audit(context, tx, caller, "event_trigger.extend", [id], {
      event_key: trigger.event_key,
      version: trigger.version,
      expires_at: trigger.expires_at,
      expires_at_before: wait.expires_at,
    });
    return { settled: [], trigger };
  });
  context.signals.publish([`trigger:${extended.id}`]);
  return extended;
}

const hasDeadlineOfGroup = ({ event_key, group_id }: EventTrigger) =>
  conflict(
    `event trigger ${JSON.stringify(event_key)} has the deadline of its group ${group_id}, which cannot be changed`,
    {
      event_key,
      group_id,
    },
  );
