import { describe, expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../src/store/database.ts";
import { freshDatabase } from "./database.ts";
import { explore } from "./explorer/explore.ts";
import { dataFolder } from "./server-process.ts";

/** `npm run explore` sets them. A change is judged by the same schedules as the one before it. */
const count = Number(process.env.STRAIT_EXPLORE_SCHEDULES ?? 300);
const seed = Number(process.env.STRAIT_EXPLORE_SEED ?? 1);
const only = process.env.STRAIT_EXPLORE_ONLY === undefined ? undefined : Number(process.env.STRAIT_EXPLORE_ONLY);

/** A process that dies is noticed after three seconds, and three of them share the connections of the tests. */
const QUICK = { LEASE_DURATION: "3s", HEARTBEAT_INTERVAL: "500ms", DB_MAX_CONNS: "8" };
const LIMIT_MS = 120_000 + count * 500;

describe("races of sends, cancellations, deadlines and crashes", () => {
  test(
    "R1 R2 R4 R9 X1 end every wait once, wake its run once, and tell every client what happened",
    async () => {
      const { url } = await freshDatabase();
      const db = openDatabase({ url, maxConnections: 4, onIdleError: () => {} });
      onTestFinished(() => db.close());
      const env = { NODE_ENV: "test", DATABASE_URL: url, STRAIT_DATA_DIR: await dataFolder(), ...QUICK };

      const { findings, deaths, outcomes, log } = await explore({ seed, count, only }, env, db);

      const ends = Object.entries(outcomes).map(([end, waits]) => `${waits} ${end}`);
      console.info(`${count} schedules of seed ${seed}: ${ends.join(", ")}; died: ${deaths.join(", ")}`);
      if (findings.length > 0) console.error(log);
      expect(findings, `npm run explore -- --schedules ${count} --seed ${seed}`).toEqual([]);
    },
    LIMIT_MS,
  );
});
