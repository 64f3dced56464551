import type { AuditChannel, Scope } from "@strait/contract";
import type { Signals } from "../store/channel.ts";
import type { Clock } from "../store/clock.ts";
import { type Database, joined, type Transaction } from "../store/database.ts";
import type { ClaimedRun } from "../store/runs.ts";
import type { JobCache } from "./job-cache.ts";
import type { Metrics } from "./metrics.ts";
import type { TriggerQuota } from "./trigger-quota.ts";

/** Who asks, as the credentials tell; never as the body does. */
export interface Caller {
  readonly projectId: string;
  readonly environmentId: string;
  /** `apikey:key_…`, `internal`, `run:run_…`, `workflow_run:wfr_…` or `system`. */
  readonly actor: string;
  readonly scopes: readonly Scope[];
  readonly channel: AuditChannel;
  /** The request that asks; null where none does. */
  readonly requestId: string | null;
}

/**
 * The room of this process for executing runs. A use case that starts runs reserves room first, writes the lease that it
 * was given, and after the commit hands over the runs that really started.
 */
export interface Worker {
  /** Takes room for one run of the project. Null: there is none now, so the run goes through the queue. */
  reserve(projectId: string): number | null;
  /** Gives back reservations that no run was started for. */
  release(projectId: string, count: number): void;
  /** Sends runs that have been started on a reserved lease to their endpoints. */
  start(runs: readonly ClaimedRun[]): void;
  /** Aborts the call of a run that was canceled, if this process makes it. */
  abort(projectId: string, runId: string): void;
}

/** What every use case needs. */
export interface Context {
  readonly db: Database;
  readonly clock: Clock;
  readonly signals: Signals;
  readonly worker: Worker;
  readonly jobs: JobCache;
  readonly quota: TriggerQuota;
  readonly metrics: Metrics;
  /** Whether endpoints may lie on private addresses: local use and tests. */
  readonly allowPrivateEndpoints: boolean;
}

export const SYSTEM = "system";

/** The server itself, as it starts. */
export const SERVER: Caller = {
  projectId: "",
  environmentId: "",
  actor: SYSTEM,
  scopes: ["*"],
  channel: "server",
  requestId: null,
};

/**
 * The same context inside an open transaction: use cases join it, and what they announce or start waits for its commit.
 */
export function joinedContext(context: Context, tx: Transaction): Context {
  const { signals, worker } = context;
  return {
    ...context,
    db: joined(tx),
    signals: { ...signals, publish: (topics) => tx.afterCommit(() => signals.publish(topics)) },
    worker: {
      reserve: (projectId) => worker.reserve(projectId),
      release: (projectId, count) => worker.release(projectId, count),
      start: (runs) => tx.afterCommit(() => worker.start(runs)),
      abort: (projectId, runId) => tx.afterCommit(() => worker.abort(projectId, runId)),
    },
  };
}
