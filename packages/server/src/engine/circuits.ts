import * as store from "../store/circuits.ts";
import type { Database } from "../store/database.ts";
import type { Failure } from "./dispatch-outcome.ts";
import type { Task } from "./loop.ts";

/**
 * Circuit breakers of endpoints, by project and URL, so that one tenant's failures do not close another's path. The state
 * is the database's; here is what this process knows of it, so that a healthy endpoint costs nothing.
 */
export interface Circuits extends Task {
  /** Milliseconds that a run must wait before it may be sent; 0 lets it pass, as a probe if need be. */
  admit(projectId: string, endpoint: string): Promise<number>;
  /** Tells how a call went; `undefined` is a success. Written in the background, in one statement for many. */
  report(projectId: string, endpoint: string, failure: Failure | undefined): void;
  /** Resolves when everything reported is written. */
  idle(): Promise<void>;
}

/** The classes of failure that say something about the endpoint rather than about the request. */
const COUNTED: ReadonlySet<string> = new Set(["server", "transient", "connection", "timeout"]);
const REFRESH_MS = 2_000;
const PROBE_TAKEN_MS = 5_000;

export function circuits(db: Database, onError: (error: unknown) => void): Circuits {
  /** Endpoints whose last call failed, with the time at which a probe may pass (0: not open). */
  let failing = new Map<string, number>();
  let failures: store.Endpoint[] = [];
  let successes: store.Endpoint[] = [];
  let writing: Promise<void> | undefined;

  const nameOf = ({ project_id, endpoint }: store.Endpoint) => `${project_id}\n${endpoint}`;
  const opensAt = ({ wait_ms }: store.OpenCircuit) => (wait_ms === null ? 0 : Date.now() + wait_ms);

  async function write(): Promise<void> {
    while (failures.length > 0 || successes.length > 0) {
      const failed = failures;
      const succeeded = successes;
      failures = [];
      successes = [];
      try {
        if (succeeded.length > 0) await store.recordSuccesses(db, succeeded);
        if (failed.length > 0) {
          for (const circuit of await store.recordFailures(db, failed)) failing.set(nameOf(circuit), opensAt(circuit));
        }
      } catch (error) {
        onError(error);
      }
    }
    writing = undefined;
  }

  return {
    name: "refresh-circuits",
    idleMs: REFRESH_MS,
    async tick() {
      const circuits = await store.listFailing(db);
      failing = new Map(circuits.map((circuit) => [nameOf(circuit), opensAt(circuit)]));
      return { handled: 0 };
    },
    async admit(project_id, endpoint) {
      const opens = failing.get(nameOf({ project_id, endpoint }));
      if (opens === undefined || opens === 0) return 0;
      const waitMs = opens - Date.now();
      if (waitMs > 0) return waitMs;
      return (await store.takeProbe(db, { project_id, endpoint })) ? 0 : PROBE_TAKEN_MS;
    },
    report(project_id, endpoint, failure) {
      const at = { project_id, endpoint };
      if (failure !== undefined && COUNTED.has(failure.error_class)) failures.push(at);
      // Any other answer is one: the endpoint is there.
      else if (failing.delete(nameOf(at))) successes.push(at);
      else return;
      writing ??= write();
    },
    async idle() {
      await writing;
    },
  };
}
