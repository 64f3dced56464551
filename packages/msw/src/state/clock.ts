/** A time as the server writes it: RFC 3339 with microseconds, in UTC. */
export const timestampOf = (time: string | number): string => new Date(time).toISOString().replace("Z", "000Z");

/** The time of a mock server: the real time, and as much more as it was told to let pass. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Of now, or so many seconds later. */
  timestamp(inSecs?: number): string;
  skip(ms: number): void;
  /** Ids in the order in which they were made, the same in every test that does the same. */
  newId(prefix: string): string;
}

export function createClock(): Clock {
  let skipped = 0;
  let made = 0;
  const now = () => Date.now() + skipped;
  return {
    now,
    timestamp: (inSecs = 0) => timestampOf(now() + inSecs * 1_000),
    skip(ms) {
      skipped += ms;
    },
    newId: (prefix) => `${prefix}_01mock${String(++made).padStart(20, "0")}`,
  };
}
