import { decideGroup, groupResult } from "../domain/decide-group.ts";
import type { Transaction } from "../store/database.ts";
import type { SettledTrigger } from "../store/settlements.ts";
import * as waitGroups from "../store/wait-groups.ts";
import { type Context, SYSTEM } from "./context.ts";
import { type OwnAnswer, receiveOwn, settleWaits, timedOut, type WaitEnd } from "./settle-waits.ts";

/** Each of them tells its run of the payloads of all its members. */
const AT_ONCE = 100;

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
  const last = new Map<string, SettledTrigger>();
  for (const trigger of ended) if (trigger.group_id !== null) last.set(trigger.group_id, trigger);
  const groups = [...last].map(([id, trigger]) => ({ project_id: trigger.project_id, id, last: trigger }));
  const settled: SettledTrigger[] = [];
  for (let start = 0; start < groups.length; start += AT_ONCE) {
    settled.push(...(await decide(context, tx, groups.slice(start, start + AT_ONCE))));
  }
  return settled;
}

/** Ends a group whose deadline has come, unless somebody holds it. */
export function timeOutGroup(context: Context, projectId: string, id: string): Promise<SettledTrigger[]> {
  return context.db.transaction(async (tx) =>
    (await waitGroups.tryLock(tx, projectId, id))
      ? decide(context, tx, [{ project_id: projectId, id, last: undefined }])
      : [],
  );
}

interface Undecided extends waitGroups.GroupId {
  /** The member whose end may decide it. */
  readonly last: SettledTrigger | undefined;
}

async function decide(context: Context, tx: Transaction, groups: readonly Undecided[]): Promise<SettledTrigger[]> {
  const states = await waitGroups.statesOf(tx, groups);
  const decided = groups.flatMap(({ id, last }) => {
    const state = states.get(id);
    if (state?.group.status !== "waiting") return [];
    const { group_mode: mode, group_needed: needed, overdue } = state.group;
    const verdict = decideGroup({ mode, needed, overdue }, state.members);
    return verdict === "open" ? [] : [{ ...state, verdict, last, actor: last?.sent_by ?? SYSTEM }];
  });
  if (decided.length === 0) return [];

  const losers = await close(
    context,
    tx,
    decided.flatMap(({ members, verdict, actor }) =>
      members.filter(({ status }) => status === "waiting").map((member) => loserEnd(verdict, member, actor)),
    ),
  );
  const byId = new Map(losers.map((trigger) => [trigger.id, trigger]));
  const ends: GroupEnd[] = [];
  const answers: OwnAnswer[] = [];
  for (const { group, members, verdict, last, actor } of decided) {
    const { project_id, id, group_mode: mode, group_needed: needed } = group;
    const winner = verdict === "met" ? (last?.event_key ?? null) : null;
    const payload = JSON.stringify(
      groupResult(
        { mode, needed },
        members.map((member) => byId.get(member.id) ?? member),
        winner,
      ),
    );
    if (verdict === "met") answers.push({ project_id, id, payload, actor });
    else if (verdict === "timed_out") ends.push({ move: "timeOut", ...timedOut(project_id, id), payload });
    else ends.push(canceled(project_id, id, actor, NOT_ENOUGH));
  }
  return [...losers, ...(await close(context, tx, ends)), ...(await receiveOwn(context, tx, answers))];
}

const NOT_ENOUGH = "so many waits of the group were canceled that the others cannot be enough";

const ENOUGH = "enough other waits of its group were answered";
const OUT_OF_REACH = "the waits of its group that are left cannot be enough";

interface GroupEnd extends WaitEnd {
  readonly move: "cancel" | "timeOut";
}

const canceled = (projectId: string, triggerId: string, actor: string, reason: string): GroupEnd => ({
  move: "cancel",
  projectId,
  triggerId,
  actor,
  error: `event trigger canceled: ${reason}`,
  reason,
});

function loserEnd(
  verdict: "met" | "timed_out" | "impossible",
  { project_id, id }: waitGroups.GroupId,
  actor: string,
): GroupEnd {
  if (verdict === "timed_out") return { move: "timeOut", ...timedOut(project_id, id) };
  return canceled(project_id, id, actor, verdict === "met" ? ENOUGH : OUT_OF_REACH);
}

/** Whether or not their deadlines have passed while they were decided. */
async function close(context: Context, tx: Transaction, ends: readonly GroupEnd[]): Promise<SettledTrigger[]> {
  const closed: SettledTrigger[] = [];
  for (const move of ["cancel", "timeOut"] as const) {
    const wanted = ends.filter((end) => end.move === move);
    if (wanted.length === 0) continue;
    const usual = await settleWaits(context, tx, move, move === "timeOut", wanted);
    closed.push(...usual);
    if (usual.length < wanted.length)
      closed.push(...(await settleWaits(context, tx, move, move !== "timeOut", wanted)));
  }
  return closed;
}

/** Closes what still waits of a group that buffered events have met before it opened. */
export function closeLosers(
  context: Context,
  tx: Transaction,
  losers: readonly waitGroups.GroupId[],
  actor: string,
): Promise<SettledTrigger[]> {
  return close(
    context,
    tx,
    losers.map(({ project_id, id }) => canceled(project_id, id, actor, ENOUGH)),
  );
}
