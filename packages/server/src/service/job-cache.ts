import type { Job } from "@strait/contract";
import type { Signals } from "../store/channel.ts";
import * as jobs from "../store/jobs.ts";
import type { Queryable } from "../store/sql.ts";

/**
 * Jobs as triggers need them, so that starting a run costs no look-up. A job that is changed in this process is forgotten
 * at once, and in the others when their hint comes, or after a second without one.
 */
export interface JobCache {
  /** By id or slug. */
  find(projectId: string, reference: string): Promise<Job | undefined>;
  /** A job has changed: everybody forgets. */
  forget(): void;
}

const KEPT_MS = 1_000;
const MAX_JOBS = 10_000;

export function jobCache(db: Queryable, signals: Signals): JobCache {
  const cache = new Map<string, { readonly job: Promise<Job | undefined>; readonly until: number }>();
  signals.subscribe("jobs", () => cache.clear());

  return {
    find(projectId, reference) {
      const name = `${projectId}\n${reference}`;
      const now = performance.now();
      const cached = cache.get(name);
      if (cached && cached.until > now) return cached.job;
      if (cache.size >= MAX_JOBS) cache.clear();
      const job = jobs.find(db, projectId, reference);
      const entry = { job, until: now + KEPT_MS };
      cache.set(name, entry);
      // What is not there may be there the next moment, and an error is no answer.
      const drop = () => cache.get(name) === entry && cache.delete(name);
      job.then((found) => found === undefined && drop(), drop);
      return job;
    },
    forget: () => signals.publish(["jobs"]),
  };
}
