import type { Database } from "../../store/database.ts";
import * as deadLetters from "../../store/dead-letters.ts";
import type { Task } from "../loop.ts";

const BATCH = 500;

/** Makes dead letters of buffered events that nobody has asked for in time. That none of them is delivered does not depend on it. */
export function expireBuffered(db: Database): Task {
  return {
    name: "expire-buffered",
    idleMs: 5_000,
    tick: async () => ({ handled: await deadLetters.expire(db, BATCH) }),
  };
}
