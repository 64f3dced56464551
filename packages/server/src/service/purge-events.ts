import type { ExpectedSet, PurgedEvents, TriggerStatus } from "@strait/contract";
import { isTerminalTriggerStatus, terminalTriggerStatuses } from "@strait/core";
import { expectationFailed, validationError } from "../domain/errors.ts";
import { isExpected } from "../domain/expected-set.ts";
import { CLOCKS_DIFFER_MS } from "../store/clock.ts";
import * as purge from "../store/trigger-purge.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";

export interface PurgeEvents {
  readonly older_than_days?: number;
  /** RFC 3339. */
  readonly before?: string;
  readonly statuses?: readonly TriggerStatus[];
  readonly limit: number;
  readonly dry_run: boolean;
  readonly expect: ExpectedSet;
}

/** As many as one transaction deletes, so that others get their turn. */
const CHUNK = 1_000;
const DAY_MS = 86_400_000;

/**
 * Deletes the project's triggers that ended before a time, a bounded number of them, oldest first. A trigger that has ended never changes,
 * so what a dry run has found is what the same call deletes, unless somebody else purges too.
 *
 * @throws {StraitError} `validation_error`; `expectation_failed` when the set is another one than the caller has seen.
 */
export async function purgeEvents(context: Context, caller: Caller, request: PurgeEvents): Promise<PurgedEvents> {
  const { db, clock } = context;
  const { projectId } = caller;
  const cutoff = cutoffOf(request);
  const statuses = statusesOf(request);
  const cutoffMs = "before" in cutoff ? Date.parse(cutoff.before) : clock.nowMs() - cutoff.older_than_days * DAY_MS;
  // A wait ends after it was opened.
  const endId = clock.firstId("trg", cutoffMs + CLOCKS_DIFFER_MS);
  const { ids, digest, has_more } = await purge.find(
    db,
    { project_id: projectId, statuses, cutoff, limit: request.limit },
    endId,
  );
  checkExpected(request.expect, { count: ids.length, digest });
  if (request.dry_run) return { dry_run: true, count: ids.length, digest, has_more };
  let count = 0;
  for (let start = 0; start < ids.length; start += CHUNK) {
    const chunk = ids.slice(start, start + CHUNK);
    count += await db.transaction(async (tx) => {
      const removed = await purge.remove(tx, projectId, chunk);
      // One for each transaction, so that each tells what is gone, also when the next one fails.
      await audit(context, tx, caller, "project.purge_events", [projectId], { ...cutoff, statuses, count: removed });
      return removed;
    });
  }
  return { dry_run: false, count, digest, has_more };
}

function cutoffOf({
  older_than_days,
  before,
}: PurgeEvents): Exclude<purge.Cutoff, { readonly older_than_secs: number }> {
  if (older_than_days !== undefined && before === undefined) return { older_than_days };
  if (before !== undefined && older_than_days === undefined) return { before };
  throw validationError([
    before === undefined
      ? {
          field: "/older_than_days",
          rule: "required",
          fix: "add it, or before: the age from which triggers are deleted",
        }
      : { field: "/before", rule: "oneOf", fix: "send before or older_than_days, not both" },
  ]);
}

function statusesOf({ statuses = terminalTriggerStatuses }: PurgeEvents): readonly TriggerStatus[] {
  const index = statuses.findIndex((status) => !isTerminalTriggerStatus(status));
  if (index === -1) return [...new Set(statuses)];
  throw validationError([
    { field: `/statuses/${index}`, rule: "ended", fix: "leave it out: what waits is canceled, not purged" },
  ]);
}

function checkExpected(expect: ExpectedSet, found: { readonly count: number; readonly digest: string }): void {
  if (isExpected(expect, found)) return;
  throw expectationFailed(
    `the call would delete other triggers than expected, ${found.count} now; look at them with dry_run, then call again`,
    found,
  );
}
