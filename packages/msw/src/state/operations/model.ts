import type { OperationId, Run } from "@strait/contract";
import { checkOneDeadline, DEFAULT_TIMEOUT_SECS, illegalMove, notFound, slugTaken } from "@strait/server/pure";
import type { Caller } from "../../access.ts";
import type { MockOperations } from "../../operations.ts";
import type { MockCall } from "../../runtime.ts";
import { timestampOf } from "../clock.ts";
import { callingRun } from "../runs.ts";
import type { Store } from "../store.ts";
import type { StreamOptions } from "../streams.ts";

/** A call to a mock server, which has been checked against the contract. */
export interface StateCall<Id extends OperationId> extends MockCall<Id> {
  readonly caller: Caller;
  readonly idempotencyKey: string | null;
  readonly streams: StreamOptions;
}

/** What an operation answers where it does not refuse: a success with its body, or a stream. */
export type StateAnswer<Id extends OperationId> =
  | (MockOperations[Id]["answer"] & {
      /** The effect is that of an earlier request. */
      readonly replayed?: true;
    })
  | Response;

/** What operations do to the state of a mock server. Those that are missing answer their examples. */
export type Modeled = {
  readonly [Id in OperationId]?: (store: Store, call: StateCall<Id>) => StateAnswer<Id> | Promise<StateAnswer<Id>>;
};

export function found<Row>(row: Row | undefined, resource: string, id: string): Row {
  if (row === undefined) throw notFound(resource, id);
  return row;
}

interface Named {
  readonly id: string;
  readonly slug: string;
}

/** By id or by slug. */
export function named<Row extends Named>(rows: readonly Row[], resource: string, reference: string): Row {
  const row = rows.find(({ id }) => id === reference) ?? rows.find(({ slug }) => slug === reference);
  return found(row, resource, reference);
}

export function refuseTaken(rows: readonly Named[], what: "job" | "workflow", slug: string): void {
  if (rows.some((row) => row.slug === slug)) throw slugTaken(what, slug);
}

export const newestFirst = <Row>(rows: readonly Row[]): Row[] => rows.toReversed();

/** @throws {StraitError} `validation_error` when a deadline is given in two ways. */
export function deadlineOf(body: { readonly timeout_secs?: number | null; readonly deadline?: string }): {
  readonly timeout_secs: number | null;
  readonly deadline: string | null;
} {
  checkOneDeadline(body);
  const { timeout_secs = DEFAULT_TIMEOUT_SECS, deadline = null } = body;
  return { timeout_secs, deadline: deadline === null ? null : timestampOf(deadline) };
}

/** The calling run, which executes. */
export function executing(store: Store, call: Caller, runID: string, move: "report" | "wait"): Run {
  const run = callingRun(store, runID, call.dispatchSeq ?? 0);
  if (run.status !== "executing") throw illegalMove("run", run.id, run.status, move);
  return run;
}
