import { randomFillSync } from "node:crypto";
import { TypeID } from "typeid-js";
import { type Queryable, sql } from "./sql.ts";

/** The kinds of row that have an id of their own. */
export type IdPrefix =
  | "proj"
  | "env"
  | "key"
  | "job"
  | "run"
  | "batch"
  | "wf"
  | "wfr"
  | "step"
  | "trg"
  | "evt"
  | "msg"
  | "whd"
  | "aud";

/**
 * The database's time, as well as a process can know it, and ids made from it: sortable, unique, and telling what they
 * name. Nothing is decided by this clock; deadlines are compared in SQL. It orders ids and dates tokens.
 */
export interface Clock {
  /** Milliseconds since 1970, of the database. */
  nowMs(): number;
  /** A TypeID such as `run_01k…`. Ids of one process ascend. */
  newId(prefix: IdPrefix): string;
  /** The smallest id that a row made at this time could have. */
  firstId(prefix: IdPrefix, ms: number): string;
  /** Reads the database's time again; done every some seconds, since clocks drift apart. */
  synchronize(db: Queryable): Promise<void>;
}

const COUNTERS_PER_MS = 4096;

function writeTime(bytes: Uint8Array, ms: number): void {
  for (let index = 5, rest = ms; index >= 0; index--, rest = Math.floor(rest / 256)) bytes[index] = rest % 256;
}

export function databaseClock(): Clock {
  let offsetMs = 0;
  let lastMs = 0;
  let counter = 0;
  const bytes = new Uint8Array(16);
  const random = new Uint8Array(8 * 512);
  let used = random.length;

  /** Milliseconds and a counter that never go back, so that ids made in one millisecond ascend too. */
  function tick(): void {
    const now = nowMs();
    if (now > lastMs) {
      lastMs = now;
      counter = 0;
    } else if (++counter === COUNTERS_PER_MS) {
      lastMs += 1;
      counter = 0;
    }
  }

  function nowMs(): number {
    return Math.floor(Date.now() + offsetMs);
  }

  return {
    nowMs,
    newId(prefix) {
      tick();
      if (used === random.length) {
        randomFillSync(random);
        used = 0;
      }
      // UUID version 7: 48 bits of time, 12 of the counter, 62 of chance.
      writeTime(bytes, lastMs);
      bytes[6] = 0x70 | (counter >> 8);
      bytes[7] = counter & 0xff;
      bytes.set(random.subarray(used, used + 8), 8);
      bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
      used += 8;
      return TypeID.fromUUIDBytes(prefix, bytes).toString();
    },
    firstId(prefix, ms) {
      const first = new Uint8Array(16);
      writeTime(first, Math.max(0, Math.floor(ms)));
      return TypeID.fromUUIDBytes(prefix, first).toString();
    },
    async synchronize(db) {
      const asked = Date.now();
      const [row] = await db.query<{ now_ms: number }>(
        sql`SELECT (extract(epoch FROM strait_now()) * 1000)::float8 AS now_ms`,
      );
      const answered = Date.now();
      if (row) offsetMs = row.now_ms - (asked + answered) / 2;
    },
  };
}
