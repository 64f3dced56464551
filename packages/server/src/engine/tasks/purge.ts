import * as circuits from "../../store/circuits.ts";
import type { Database } from "../../store/database.ts";
import * as idempotency from "../../store/idempotency.ts";
import * as leases from "../../store/leases.ts";
import type { Task } from "../loop.ts";

const BATCH = 1_000;

/** Deletes idempotency keys that have expired, and lives of processes long gone, in chunks that let others in. */
export function purge(db: Database): Task {
  return {
    name: "purge",
    idleMs: 60_000,
    async tick() {
      const deleted = [
        await idempotency.purge(db, BATCH),
        await idempotency.purgeRunKeys(db, BATCH),
        await leases.purge(db, BATCH),
        await circuits.purge(db, BATCH),
      ];
      return { handled: deleted.filter((count) => count === BATCH).length };
    },
  };
}
