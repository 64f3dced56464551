import type { EventTrigger } from "@strait/contract";
import { type LatestTrigger, type MeantWait, mismatch } from "../domain/decide-send.ts";
import { notFound, type StraitError, waitClosed } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import * as triggers from "../store/triggers.ts";
import type { Caller, Context } from "./context.ts";
import { announceSettled, settleWaits, timedOut } from "./settle-waits.ts";

/** What was done to a wait: what has ended by it, or why it was refused. */
type Done = { readonly settled: readonly triggers.SettledTrigger[] } & (
  | { readonly trigger: EventTrigger; readonly error?: never }
  | { readonly error: StraitError; readonly trigger?: never }
);

/** The latest trigger of a key, locked, and what has ended by looking at it. */
export interface Current {
  readonly latest: LatestTrigger | undefined;
  readonly settled: readonly triggers.SettledTrigger[];
}

/**
 * Locks the latest trigger of a key, settles it if its deadline has passed unnoticed (whoever sees that times it out, R2),
 * and does `act`. In the caller's transaction, which holds nothing below the rows of keys.
 *
 * @param act - Undefined: the deadline has passed since the look, so it takes another one.
 */
export async function withCurrent<Result>(
  context: Context,
  tx: Transaction,
  key: triggers.EventKey,
  act: (current: Current) => Promise<Result | undefined>,
): Promise<Result> {
  await triggers.lockKeys(tx, [key]);
  await triggers.lockWaiting(tx, [key]);
  const acted = (await act(await currentOf(context, tx, key))) ?? (await act(await currentOf(context, tx, key)));
  if (acted === undefined) throw new Error("a locked wait could not be changed");
  return acted;
}

async function currentOf(context: Context, tx: Transaction, key: triggers.EventKey): Promise<Current> {
  const [latest] = await triggers.latestOf(tx, [key]);
  if (!latest?.overdue) return { latest, settled: [] };
  const settled = await settleWaits(context, tx, "timeOut", true, [timedOut(latest.project_id, latest.id)]);
  const [ended] = settled;
  return { latest: ended ? { ...ended, overdue: false } : latest, settled };
}

/**
 * Does `work` to the trigger that waits on a key. What was refused is thrown after the commit, since noticing a deadline
 * is not undone by it.
 *
 * @throws {StraitError} `not_found`, `stale_generation`, `wait_closed`, or what `work` refuses.
 */
export async function changeWait(
  context: Context,
  caller: Caller,
  meant: MeantWait,
  attempt: "canceled" | "extended",
  work: (tx: Transaction, trigger: EventTrigger) => Promise<Done | undefined>,
): Promise<EventTrigger> {
  const key = { project_id: caller.projectId, environment_id: caller.environmentId, event_key: meant.event_key };
  const { settled, trigger, error } = await context.db.transaction((tx) =>
    withCurrent<Done>(context, tx, key, async ({ latest, settled }) => {
      // Thrown here, so that the row of a key that nobody knows is rolled back.
      if (!latest) throw notFound("event trigger", meant.event_key);
      const stale = mismatch(latest, meant);
      if (stale) return { settled, error: stale };
      return latest.status === "waiting" ? work(tx, latest) : { settled, error: waitClosed(latest, attempt) };
    }),
  );
  announceSettled(context, settled);
  if (error) throw error;
  return trigger;
}
