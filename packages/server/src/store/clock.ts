import { randomFillSync } from "node:crypto";
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

/** The clocks that make ids, and the one that dates rows, differ by less: by it a search by id is wider than one by time. */
export const CLOCKS_DIFFER_MS = 86_400_000;

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

/** Of several answers the fastest says the time best: the first one may have waited for a connection. */
const SYNCHRONIZATIONS = 3;

/** The alphabet of a TypeID leaves out what is easily misread. Two letters at a time: that is ten bits. */
const LETTERS = [..."0123456789abcdefghijklmnopqrstuvwxyz"].filter((letter) => !"i, l, o, u".includes(letter));
const PAIRS = LETTERS.flatMap((first) => LETTERS.map((second) => first + second));

/** The last `pairs` × 10 bits of a whole number. */
function base32(value: number, pairs: number): string {
  let text = "";
  for (let left = pairs, rest = value; left > 0; left--, rest = Math.floor(rest / PAIRS.length)) {
    text = PAIRS[rest % PAIRS.length] + text;
  }
  return text;
}

/** The suffix of a TypeID is its UUID with two bits of 0 before it, five bits a letter: the first ten are 48 bits of time. */
const timeOf = (ms: number): string => base32(ms, 5);

export function databaseClock(): Clock {
  let offsetMs = 0;
  let lastMs = 0;
  let counter = 0;
  let time = timeOf(0);
  const random = Buffer.alloc(8 * 512);
  let used = random.length;

  /** Milliseconds and a counter that never go back, so that ids made in one millisecond ascend too. */
  function tick(): void {
    const now = nowMs();
    if (now > lastMs) {
      lastMs = now;
    } else if (++counter === COUNTERS_PER_MS) {
      lastMs += 1;
    } else return;
    counter = 0;
    time = timeOf(lastMs);
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
      // UUID version 7: after the time 4 bits of the version, 12 of the counter, 2 of the variant and 62 of chance.
      const chance = random.readUIntBE(used, 3) & 0x3fffff;
      const first = 7 * 2 ** 36 + counter * 2 ** 24 + 2 * 2 ** 22 + chance;
      const id = `${prefix}_${time}${base32(first, 4)}${base32(random.readUIntBE(used + 3, 5), 4)}`;
      used += 8;
      return id;
    },
    firstId(prefix, ms) {
      if (Number.isNaN(ms)) throw new RangeError("no id is made at a time that is none");
      return `${prefix}_${timeOf(Math.max(0, Math.floor(ms)))}${"0".repeat(16)}`;
    },
    async synchronize(db) {
      let fastestMs = Number.POSITIVE_INFINITY;
      for (let n = 0; n < SYNCHRONIZATIONS; n++) {
        const asked = Date.now();
        const [row] = await db.query<{ now_ms: number }>(
          sql`SELECT (extract(epoch FROM strait_now()) * 1000)::float8 AS now_ms`,
        );
        const answered = Date.now();
        if (!row || answered - asked >= fastestMs) continue;
        fastestMs = answered - asked;
        offsetMs = row.now_ms - (asked + answered) / 2;
      }
    },
  };
}
