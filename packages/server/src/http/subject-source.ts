import * as changes from "../store/changes.ts";
import type { Queryable } from "../store/sql.ts";
import type { Snapshot, StreamSource } from "./stream-source.ts";

export interface Subject<Row> {
  /** The row, and the number of its last change, from one statement. */
  read(): Promise<{ readonly row: Row; readonly sequence: number } | undefined>;
  isTerminal(row: Row): boolean;
  asOf(row: Row, change: changes.Change): Row;
}

/** Changes read in one go; a reader further behind is served in several. */
const BATCH = 200;

/** The stream of one run or one trigger: its changes, numbered on its row, so that a reader can tell that it missed none. */
export function subjectSource<Row>(
  db: Queryable,
  projectId: string,
  id: string,
  feed: "run" | "trigger",
  subject: Subject<Row>,
): StreamSource {
  return {
    name: id,
    topic: `${feed}:${id}`,
    positions: /^\d{1,9}$/,
    isBehind: (a, b) => Number(a) > Number(b),
    watched: (position) => ({ feed, name: id, project_id: projectId, id, sequence: Number(position) }),
    async snapshot(): Promise<Snapshot> {
      const now = await subject.read();
      if (!now) throw new Error(`${id} was deleted while its stream was opened`);
      const { row, sequence } = now;
      return { data: row, position: String(sequence), isTerminal: subject.isTerminal(row) };
    },
    async deltasAfter(position) {
      const after = Number(position);
      const now = await subject.read();
      if (now === undefined || after > now.sequence) return undefined;
      const { row, sequence } = now;
      // The row tells the last change, which may be the end of a wait that has no change of its own. What came after the row
      // was read waits for the next look.
      const missed = Math.max(0, sequence - 1 - after);
      const between = missed === 0 ? [] : await changes.ofSubject(db, projectId, id, after, Math.min(missed, BATCH));
      // A hole: some of what followed is not kept any more.
      if (missed > 0 && between.at(-1)?.sequence !== after + between.length) return undefined;
      const isComplete = between.length === missed;
      const deltas = between.map((change) => ({ data: subject.asOf(row, change), position: String(change.sequence) }));
      if (isComplete && after < sequence) deltas.push({ data: row, position: String(sequence) });
      return { deltas, isTerminal: isComplete && subject.isTerminal(row), hasMore: !isComplete };
    },
  };
}
