import type { Context } from "../../service/context.ts";
import * as auditEvents from "../../store/audit-events.ts";
import { CLOCKS_DIFFER_MS } from "../../store/clock.ts";
import * as projects from "../../store/projects.ts";
import type { Task } from "../loop.ts";

const BATCH = 500;

/** Deletes what is older than the retention of who did what, in short statements that wait for nobody. */
export function deleteOldAuditEvents({ db, clock }: Pick<Context, "db" | "clock">, retentionMs: number): Task {
  const secs = retentionMs / 1_000;
  return {
    name: "delete-old-audit-events",
    idleMs: 60_000,
    async tick() {
      const endId = clock.firstId("aud", clock.nowMs() - retentionMs + CLOCKS_DIFFER_MS);
      let handled = 0;
      for await (const id of projects.everyId(db)) handled += await auditEvents.removeOld(db, id, secs, endId, BATCH);
      return { handled };
    },
  };
}
