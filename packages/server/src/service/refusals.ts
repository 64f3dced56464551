import type { OperationId } from "@strait/contract";
import { actorOf } from "../domain/actor.ts";
import * as auditEvents from "../store/audit-events.ts";
import type { Context } from "./context.ts";

/** A request with good credentials that do not allow what it asks for. */
export interface Refusal {
  readonly projectId: string;
  readonly actor: string;
  readonly operation: OperationId;
  /** What the path names. */
  readonly path: Readonly<Record<string, string>>;
  /** Null where no scope would help: the credentials are for something else. */
  readonly missingScope: string | null;
  readonly requestId: string;
}

/** Writes down who was refused what, outside every transaction: what is refused is rolled back. */
export interface Refusals {
  /** Resolves when the refusal is written, or counted. Never rejects: that it cannot be written changes no answer. */
  note(refusal: Refusal): Promise<void>;
  /** Writes what has been counted since the last time, and starts afresh. */
  flush(): Promise<void>;
}

/** So many callers and operations are told apart at once; then what was counted is written early. */
const MAX_COUNTED = 10_000;

interface Counted {
  /** Refusals that no row tells of yet. The first has a row of its own. */
  count: number;
  latest: Refusal;
}

/**
 * A caller fills the table with at most two rows for an operation between two flushes, however often it is refused: the
 * first refusal is written at once, and those that follow are one row, with their number and the latest of them. They are
 * counted in this process, so that a refusal costs no statement but the first; a kill loses what it has counted. What cannot
 * be written is counted, too, and written when the database is back.
 */
export function refusals({ db, clock }: Pick<Context, "db" | "clock">, onError: (error: unknown) => void): Refusals {
  let counted = new Map<string, Counted>();

  /** Counts again what cannot be written: the next flush tries again. */
  async function write(rows: readonly Counted[]): Promise<void> {
    const events = rows.map(({ latest, count }) => ({ ...rowOf(latest, count), id: clock.newId("aud") }));
    try {
      await auditEvents.insert(db, events);
    } catch (error) {
      onError(error);
      for (const { latest, count } of rows) {
        const known = counted.get(nameOf(latest));
        if (known) known.count += count;
        else if (counted.size < MAX_COUNTED) counted.set(nameOf(latest), { count, latest });
      }
    }
  }

  async function flush(): Promise<void> {
    const repeated = [...counted.values()].filter(({ count }) => count > 0);
    counted = new Map();
    if (repeated.length > 0) await write(repeated);
  }

  return {
    async note(refusal) {
      const name = nameOf(refusal);
      const known = counted.get(name);
      if (known) {
        known.count += 1;
        known.latest = refusal;
        return;
      }
      const full = counted.size >= MAX_COUNTED ? flush() : undefined;
      counted.set(name, { count: 0, latest: refusal });
      await full;
      await write([{ count: 1, latest: refusal }]);
    },
    flush,
  };
}

const nameOf = ({ projectId, actor, operation }: Refusal): string => `${projectId} ${actor} ${operation}`;

function rowOf({ projectId, actor, operation, path, missingScope, requestId }: Refusal, count: number) {
  return {
    ...auditEvents.actorColumns(actorOf(actor)),
    project_id: projectId,
    channel: "api",
    action: "operation.refuse",
    resource_type: "operation",
    resource_id: operation,
    request_id: requestId,
    details: JSON.stringify({ missing_scope: missingScope, path, count }),
  } as const;
}
