import * as estimates from "../../store/estimates.ts";
import type { Queryable } from "../../store/sql.ts";
import type { Task } from "../loop.ts";

/** Lets the planner know tables that have just been filled, before autovacuum comes (Q5). */
export function learnEstimates(db: Queryable): Task {
  return {
    name: "learn-estimates",
    idleMs: 5_000,
    async tick() {
      await estimates.learn(db);
      return { handled: 0 };
    },
  };
}
