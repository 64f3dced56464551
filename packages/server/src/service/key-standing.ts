import { isNamed, type MeantWait } from "../domain/decide-send.ts";
import type { Standing } from "../domain/meet.ts";
import type { Transaction } from "../store/database.ts";
import * as keyWaits from "../store/key-waits.ts";
import type { SettledTrigger } from "../store/settlements.ts";
import type { Context } from "./context.ts";
import { keyOf } from "./sending.ts";
import { settleWaits, timedOut } from "./settle-waits.ts";
import { decideGroups } from "./wait-groups.ts";

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
