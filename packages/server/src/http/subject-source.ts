import * as changes from "../store/changes.ts";
import type { Topic } from "../store/channel.ts";
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
  topic: Topic,
  subject: Subject<Row>,
): StreamSource {
  return {
    name: id,
    topic,
    positions: /^\d{1,9}$/,
    isBehind: (a, b) => Number(a) > Number(b),
    watched: (position) => ({ feed: "subject", name: id, project_id: projectId, id, sequence: Number(position) }),
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
      const missed = after === sequence ? [] : await changes.ofSubject(db, projectId, id, after, BATCH);
      // A hole: what followed is not kept any more.
      if (after < sequence && missed[0]?.sequence !== after + 1) return undefined;
      // What came after the row was read waits for the next look, so that the last delta shows the row as it was read.
      const shown = missed.filter((change) => change.sequence <= sequence);
      const isComplete = (shown.at(-1)?.sequence ?? after) === sequence;
      return {
        deltas: shown.map((change) => ({
          data: change.sequence === sequence ? row : subject.asOf(row, change),
          position: String(change.sequence),
        })),
        isTerminal: isComplete && subject.isTerminal(row),
        hasMore: !isComplete,
      };
    },
  };
}
