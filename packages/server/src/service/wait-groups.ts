import type { Cancellation } from "@strait/contract";
import { decideGroup, groupResult } from "../domain/decide-group.ts";
import type { Transaction } from "../store/database.ts";
import type { SettledTrigger } from "../store/settlements.ts";
import * as waitGroups from "../store/wait-groups.ts";
import { type Context, SYSTEM } from "./context.ts";
import { receiveOne, settleWaits, timedOut, type WaitEnd } from "./settle-waits.ts";

/**
 * Decides the groups of waits that have just ended, in their transaction (R8): a group that is met, or cannot be met any
 * more, ends with all of its waits that are open, and wakes the run once. The caller holds the rows of the groups, which
 * whoever locks a member has locked before it; so of several answers at once, one crosses the line.
 *
 * @returns What has ended besides. A group among it that was received was decided by one of `ended`.
 */
export async function decideGroups(
  context: Context,
  tx: Transaction,
  ended: readonly SettledTrigger[],
): Promise<SettledTrigger[]> {
  const groups = new Map<string, SettledTrigger>();
  for (const trigger of ended) if (trigger.group_id !== null) groups.set(trigger.group_id, trigger);
  const settled: SettledTrigger[] = [];
  for (const [id, last] of groups) settled.push(...(await decideOne(context, tx, last.project_id, id, last)));
  return settled;
}

/** Ends a group whose deadline has come, unless somebody holds it. */
export function timeOutGroup(context: Context, projectId: string, id: string): Promise<SettledTrigger[]> {
  return context.db.transaction(async (tx) =>
    (await waitGroups.tryLock(tx, projectId, id)) ? decideOne(context, tx, projectId, id, undefined) : [],
  );
}

async function decideOne(
  context: Context,
  tx: Transaction,
  projectId: string,
  id: string,
  last: SettledTrigger | undefined,
): Promise<SettledTrigger[]> {
  const state = await waitGroups.stateOf(tx, projectId, id);
  if (state?.group.status !== "waiting") return [];
  const group = { mode: state.group.group_mode, needed: state.group.group_needed, overdue: state.group.overdue };
  const verdict = decideGroup(group, state.members);
  if (verdict === "open") return [];

  const actor = last?.sent_by ?? SYSTEM;
  const isMet = verdict === "met";
  const reason = isMet
    ? "enough other waits of its group were answered"
    : "the waits of its group that are left cannot be enough";
  const closed: WaitEnd[] = state.members
    .filter(({ status }) => status === "waiting")
    .map((member) =>
      verdict === "timed_out"
        ? timedOut(projectId, member.id)
        : { projectId, triggerId: member.id, actor, error: `event trigger canceled: ${reason}`, reason },
    );
  const losers = await closeWaits(context, tx, verdict === "timed_out" ? "timeOut" : "cancel", closed);
  const byId = new Map(losers.map((trigger) => [trigger.id, trigger]));
  const members = state.members.map((member) => byId.get(member.id) ?? member);
  const result = groupResult(group, members, isMet ? (last?.event_key ?? null) : null);
  const payload = JSON.stringify(result);
  if (isMet) return [...losers, ...(await receiveOne(context, tx, { project_id: projectId, id, payload, actor }))];
  const impossible = notEnough(last?.cancellation ?? null);
  const end: WaitEnd =
    verdict === "timed_out"
      ? // What the run is told under `resolve` stands with the group.
        { ...timedOut(projectId, id), ...(state.group.on_timeout === "resolve" ? {} : { payload }) }
      : {
          projectId,
          triggerId: id,
          actor,
          error: `event trigger canceled: ${impossible}`,
          reason: impossible,
          details: result,
        };
  return [...losers, ...(await closeWaits(context, tx, verdict === "timed_out" ? "timeOut" : "cancel", [end]))];
}

/** Why a group cannot be met any more, with what was said of the wait that ended last. */
function notEnough(last: Cancellation | null): string {
  const because = last?.kind === "rejected" ? `; the last was rejected: ${last.reason}` : "";
  return `so many waits of the group were canceled that the others cannot be enough${because}`;
}

/** Whether or not their deadlines have passed while they were decided. */
async function closeWaits(
  context: Context,
  tx: Transaction,
  move: "cancel" | "timeOut",
  ends: readonly WaitEnd[],
): Promise<SettledTrigger[]> {
  if (ends.length === 0) return [];
  const closed = await settleWaits(context, tx, move, move === "timeOut", ends);
  if (closed.length === ends.length) return closed;
  return [...closed, ...(await settleWaits(context, tx, move, move !== "timeOut", ends))];
}

/** Closes what still waits of a group that buffered events have met before it opened. */
export function closeLosers(context: Context, tx: Transaction, ends: readonly Omit<WaitEnd, "error">[]) {
  const reason = "enough other waits of its group were answered";
  return closeWaits(
    context,
    tx,
    "cancel",
    ends.map((end) => ({ ...end, error: `event trigger canceled: ${reason}`, reason })),
  );
}
