import type { EventTrigger } from "@strait/contract";
import { type MeantWait, mismatch } from "../domain/decide-send.ts";
import { notFound, type StraitError, waitClosed } from "../domain/errors.ts";
import { metBy, NOBODY, type Standing } from "../domain/meet.ts";
import type { Transaction } from "../store/database.ts";
import { type EventKey, lockKeys } from "../store/key-waits.ts";
import type * as settlements from "../store/settlements.ts";
import type { Caller, Context } from "./context.ts";
import { lockStandings } from "./key-standing.ts";
import { announceSettled } from "./settle-waits.ts";
import { decideGroups } from "./wait-groups.ts";

/** What was done to a wait: what has ended by it, or why it was refused. */
type Done = { readonly settled: readonly settlements.SettledTrigger[] } & (
  | { readonly trigger: EventTrigger; readonly error?: never }
  | { readonly error: StraitError; readonly trigger?: never }
);

/** How a key stands, locked, and what has ended by looking at it. */
export interface Current {
  readonly standing: Standing;
  readonly settled: readonly settlements.SettledTrigger[];
}

/**
 * Locks what waits on a key, times out what is overdue, and does `act`. In the caller's transaction, which holds nothing
 * below the rows of keys.
 *
 * @param act - Undefined: the deadline has passed since the look, so it takes another one.
 */
export async function withCurrent<Result>(
  context: Context,
  tx: Transaction,
  key: EventKey & Pick<MeantWait, "trigger_id"> & Partial<Pick<MeantWait, "generation">>,
  act: (current: Current) => Promise<Result | undefined>,
): Promise<Result> {
  await lockKeys(tx, [key]);
  const acted = (await act(await look(context, tx, key))) ?? (await act(await look(context, tx, key)));
  if (acted === undefined) throw new Error("a locked wait could not be changed");
  return acted;
}

async function look(context: Context, tx: Transaction, key: EventKey): Promise<Current> {
  const { standings, ended } = await lockStandings(context, tx, [key]);
  const [standing = NOBODY] = standings.values();
  return { standing, settled: ended };
}

/**
 * Does `work` to what waits on a key: to the one that is named, else to all. What was refused is thrown after the commit,
 * since noticing a deadline is not undone by it.
 *
 * @throws {StraitError} `not_found`, `stale_generation`, `wait_closed`, or what `work` refuses.
 */
export async function changeWait(
  context: Context,
  caller: Caller,
  meant: MeantWait,
  attempt: "canceled" | "extended",
  work: (tx: Transaction, waiting: readonly EventTrigger[]) => Promise<Done | undefined>,
): Promise<EventTrigger> {
  const { event_key, trigger_id } = meant;
  const key = { project_id: caller.projectId, environment_id: caller.environmentId, event_key, trigger_id };
  const { settled, trigger, error } = await context.db.transaction((tx) =>
    withCurrent<Done>(context, tx, key, async ({ standing, settled }) => {
      const met = metBy(standing, trigger_id);
      // Thrown here, so that the row of a key that nobody knows is rolled back.
      if (!met) throw notFound("event trigger", event_key);
      const stale = mismatch(met, meant);
      if (stale) return { settled, error: stale };
      if (met.status !== "waiting") return { settled, error: waitClosed(met, attempt) };
      const done = await work(tx, trigger_id === null ? standing.waiting : [met]);
      if (!done) return undefined;
      return { ...done, settled: [...settled, ...done.settled, ...(await decideGroups(context, tx, done.settled))] };
    }),
  );
  announceSettled(context, settled);
  if (error) throw error;
  return trigger;
}
