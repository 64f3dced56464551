// The process that plays one scenario with one contender: the clients and the handlers. It is told what to do by its
// argument, and says how it went in one message to its parent. `play` of play.ts starts it.

import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Listener, Session } from "./contender.ts";
import { contenders } from "./contenders.ts";
import type { DriverOrder, DriverReport } from "./play.ts";
import { type Figures, scenarios } from "./scenarios.ts";

const CLOSE_LIMIT_MS = 15_000;

async function play(order: DriverOrder): Promise<Figures> {
  const { databaseUrl, storePid, n, keys, nodeArgs } = order;
  const listener: Listener = { started() {}, waiting() {}, resumed() {} };
  const counting = new pg.Client({ connectionString: databaseUrl });
  await counting.connect();
  const session = await contenders[order.contender].open({
    databaseUrl,
    listener,
    keys,
    nodeArgs,
    async count(query) {
      const { rows } = await counting.query({ text: query, rowMode: "array" });
      return Number(rows[0]?.[0]);
    },
  });
  try {
    return await scenarios[order.scenario].run({ session, listener, storePid, n });
  } finally {
    await Promise.race([close(session), sleep(CLOSE_LIMIT_MS)]);
    await counting.end();
  }
}

/** What goes wrong at the end does not change what was measured. */
async function close(session: Session): Promise<void> {
  await session.close().catch((error: Error) => console.error(`closing: ${error.message}`));
}

// A parent that ended takes its driver with it, and that one its servers.
process.once("disconnect", () => process.exit(1));
process.once("SIGTERM", () => process.exit(1));

const report = await play(JSON.parse(process.argv[2] ?? "")).then(
  (figures): DriverReport => ({ ok: true, figures }),
  (error: Error): DriverReport => ({ ok: false, error: error.message }),
);
process.send?.(report, () => process.exit(0));
