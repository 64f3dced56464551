import { terminalTriggerStatuses } from "@strait/core";
import type { Context } from "../../service/context.ts";
import { CLOCKS_DIFFER_MS } from "../../store/clock.ts";
import * as retention from "../../store/event-retention.ts";
import * as projects from "../../store/projects.ts";
import * as purge from "../../store/trigger-purge.ts";
import type { Task } from "../loop.ts";

const BATCH = 500;
const KEYS = 1_000;
/** A key is known for longer than what can name it, so that "nobody ever waited on it" stays true. */
const KEY_GRACE_SECS = 30 * 86_400;

/**
 * Deletes what is older than the retention (W4): triggers that have ended, with what was sent to them and told of them;
 * then events that met none; and, later, keys that nobody uses. In short transactions that wait for nobody.
 */
export function deleteOldEvents({ db, clock }: Pick<Context, "db" | "clock">, retentionMs: number): Task {
  const secs = retentionMs / 1_000;
  let key = retention.FIRST_KEY;

  async function deleteOf(project_id: string): Promise<number> {
    // An object ends after its id was made.
    const endMs = clock.nowMs() - retentionMs + CLOCKS_DIFFER_MS;
    const request = { project_id, statuses: terminalTriggerStatuses, cutoff: { older_than_secs: secs }, limit: BATCH };
    const { ids } = await purge.find(db, request, clock.firstId("trg", endMs));
    const triggers =
      ids.length === 0
        ? 0
        : await db.transaction(async (tx) => purge.remove(tx, project_id, await purge.lockFree(tx, project_id, ids)));
    const events = await retention.removeEvents(db, project_id, secs, clock.firstId("evt", endMs), BATCH);
    return triggers + events;
  }

  return {
    name: "delete-old-events",
    idleMs: 60_000,
    async tick() {
      let handled = 0;
      for await (const id of projects.everyId(db)) handled += await deleteOf(id);
      key = (await retention.removeKeys(db, key, secs + KEY_GRACE_SECS, KEYS)) ?? retention.FIRST_KEY;
      return { handled };
    },
  };
}
