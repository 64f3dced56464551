import { type DeletedTrigger, isNamed, type LatestTrigger, type MeantWait } from "../domain/decide-send.ts";
import type { Transaction } from "../store/database.ts";
import * as keyWaits from "../store/key-waits.ts";
import type { SettledTrigger } from "../store/settlements.ts";
import type { Context } from "./context.ts";
import { keyOf } from "./sending.ts";
import { settleWaits, timedOut } from "./settle-waits.ts";
import { decideGroups } from "./wait-groups.ts";

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

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] extends readonly (infer Item)[] ? Item[] : Type[Key] };

/**
 * Locks what waits on keys, whose rows the caller holds, and times out what is overdue: whoever notices does (R2). The
 * standings hold until the commit, and their deadlines but for the moment.
 */
export async function lockStandings(
  context: Context,
  tx: Transaction,
  keys: readonly (keyWaits.EventKey & Partial<Pick<MeantWait, "trigger_id" | "generation">>)[],
): Promise<{ standings: Map<string, Standing>; ended: SettledTrigger[] }> {
  await keyWaits.lockWaiting(tx, keys);
  const rows = await keyWaits.standingOf(tx, keys);
  const overdue = rows.filter((row) => row.overdue).map(({ project_id, id }) => timedOut(project_id, id));
  const ended = overdue.length === 0 ? [] : await settleWaits(context, tx, "timeOut", true, overdue);
  ended.push(...(await decideGroups(context, tx, ended)));
  const endedById = new Map(ended.map((trigger) => [trigger.id, { ...trigger, overdue: false }]));

  const standings = new Map<string, Mutable<Standing>>();
  for (const key of keys) standings.set(keyOf(key), { waiting: [], latest: undefined, named: [] });
  for (const { is_latest, ...row } of rows) {
    const trigger = endedById.get(row.id) ?? row;
    const standing = standings.get(keyOf(row));
    if (trigger.status === "waiting") standing?.waiting.push(trigger);
    if (standing && is_latest) standing.latest = trigger;
  }
  const orphans = keys.filter((key) => {
    const standing = standings.get(keyOf(key));
    const isNobody = standing?.latest === undefined && standing?.waiting.length === 0;
    return isNobody && isNamed({ trigger_id: key.trigger_id ?? null, generation: key.generation ?? null });
  });
  for (const { id, generation, ...key } of orphans.length === 0 ? [] : await keyWaits.deletedOf(tx, orphans)) {
    const standing = standings.get(keyOf(key));
    if (standing) standing.deleted = { id, generation };
  }
  const found = new Set(rows.map(({ id }) => id));
  const missing = keys.flatMap(({ trigger_id, ...key }) =>
    trigger_id && !found.has(trigger_id) ? { ...key, trigger_id } : [],
  );
  const named = missing.length === 0 ? [] : await keyWaits.namedOf(tx, missing);
  for (const trigger of named) standings.get(keyOf(trigger))?.named.push(trigger);
  return { standings, ended };
}
