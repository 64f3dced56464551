import { quotaExceeded } from "../domain/errors.ts";
import * as projects from "../store/projects.ts";
import type { Queryable } from "../store/sql.ts";

/** How many waits a project may have open. */
export interface TriggerQuota {
  /**
   * Lets one more wait open. Nothing is locked: opens do not queue behind each other for the sake of a number.
   *
   * @throws {StraitError} `quota_exceeded` when the project has as many as it may.
   */
  admit(db: Queryable, projectId: string): Promise<void>;
  /** The limit has changed: this process looks at once, the others within a second. */
  forget(projectId: string): void;
}

/** What was counted last. A project without a limit is asked for it once in this time, and never counted. */
interface Allowance {
  /** Opens that need no look; null without a limit. */
  left: number | null;
  readonly until: number;
}

const KEPT_MS = 1_000;
const MAX_PROJECTS = 10_000;
/** The share of what is left that a process gives out before it counts again: near the limit it counts each time. */
const GIVEN_OUT = 0.1;

export function triggerQuota(monotonicMs: () => number): TriggerQuota {
  const allowances = new Map<string, Allowance>();

  async function look(db: Queryable, projectId: string): Promise<void> {
    const found = await projects.activeTriggers(db, projectId);
    if (found && found.active >= found.limit) throw quotaExceeded("open waits", found.limit);
    if (allowances.size >= MAX_PROJECTS) allowances.clear();
    const left = found && Math.floor((found.limit - found.active) * GIVEN_OUT);
    allowances.set(projectId, { left, until: monotonicMs() + KEPT_MS });
  }

  return {
    async admit(db, projectId) {
      const allowance = allowances.get(projectId);
      if (!allowance || allowance.until <= monotonicMs()) return look(db, projectId);
      if (allowance.left === null) return;
      if (allowance.left === 0) return look(db, projectId);
      allowance.left -= 1;
    },
    forget: (projectId) => void allowances.delete(projectId),
  };
}
