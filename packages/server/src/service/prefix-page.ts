import type { PrefixSendMode } from "@strait/contract";
import { expectationFailed, type StraitError } from "../domain/errors.ts";
import * as keyWaits from "../store/key-waits.ts";
import type { Queryable } from "../store/sql.ts";
import type { WaitingTrigger } from "../store/trigger-sets.ts";
import * as triggers from "../store/triggers.ts";
import * as waitGroups from "../store/wait-groups.ts";
import type { Caller, Context } from "./context.ts";

/**
 * Locks all that the page can end, from the top down: the rows of keys, then waits (K1). So nobody joins one of the waits
 * any more; the answer says which of them are shared now.
 *
 * @throws {StraitError} `expectation_failed` when all of them cannot be answered, under `atomic`.
 */
export async function lockPage(
  { db }: Context,
  caller: Caller,
  members: readonly WaitingTrigger[],
  mode: PrefixSendMode,
): Promise<WaitingTrigger[]> {
  const keys = members.map((member) => keyIn(caller, member));
  await keyWaits.holdKeys(db, keys);
  const beside = await keyWaits.waitingOn(db, keys);
  const ids = [...new Set(idsOf([...members, ...beside]))];
  await triggers.lockAll(db, caller.projectId, ids);
  const shared = new Map((await triggers.sharedAmong(db, caller.projectId, ids)).map((wait) => [wait.id, wait]));
  if (mode === "atomic") await checkGroups(db, caller, [...shared.values()]);
  return members.map((member) => ({ ...member, is_shared: member.is_shared || shared.has(member.id) }));
}

/** Refuses to answer more waits of a group than it takes answers: the first of them would close the others. */
async function checkGroups(db: Queryable, { projectId }: Caller, shared: readonly triggers.Sharing[]): Promise<void> {
  const counts = new Map<string, number>();
  for (const { group_id } of shared) if (group_id !== null) counts.set(group_id, (counts.get(group_id) ?? 0) + 1);
  const several = [...counts].filter(([, count]) => count > 1).map(([id]) => ({ project_id: projectId, id }));
  if (several.length === 0) return;
  for (const [id, { group, members }] of await waitGroups.statesOf(db, several)) {
    const count = counts.get(id) ?? 0;
    const missing = group.group_needed - members.filter(({ status }) => status === "received").length;
    if (count > missing) throw tooManyOfGroup(id, count, missing);
  }
}

function tooManyOfGroup(group_id: string, count: number, missing: number): StraitError {
  return expectationFailed(
    `${count} waits under the prefix are of one group, ${group_id}, which ends with the next ${missing === 1 ? "answer" : `${missing} answers`}: ` +
      'not all of them can be answered; send with mode "each", or narrow the prefix',
    { group_id },
  );
}

export const keyIn = ({ projectId, environmentId }: Caller, { event_key }: WaitingTrigger): keyWaits.EventKey => ({
  project_id: projectId,
  environment_id: environmentId,
  event_key,
});

export const idsOf = (members: readonly { readonly id: string }[]): string[] => members.map(({ id }) => id);
