/** A change of status, as a stream tells it. */
export interface StatusChange {
  readonly after: string | null;
}

/** What both runs and triggers have, and what only their ends set. */
interface Streamed {
  readonly status: string;
  readonly finished_at: string | null;
}

/** What an end sets; a delta of an earlier change must not show it yet. */
const endings = [
  "finished_at",
  "received_at",
  "result",
  "response_payload",
  "error",
  "error_class",
  "cancellation",
  "sent_by",
];

/**
 * The object that a delta carries: the whole of it, with the status that this change gave it. A reader that comes late
 * gets every delta, and none of them says that something is still waiting while it shows the answer.
 *
 * @param isTerminal - Whether the status of the change is final.
 */
export function asOf<Row extends Streamed>(row: Row, change: StatusChange, isTerminal: boolean): Row {
  if (change.after === null || change.after === row.status) return row;
  const then = { ...(row as object), status: change.after } as Record<string, unknown>;
  if (!isTerminal) for (const name of endings) if (name in then) then[name] = null;
  return then as unknown as Row;
}
