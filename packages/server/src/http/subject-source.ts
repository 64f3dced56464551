import * as changes from "../store/changes.ts";
import type { Topic } from "../store/channel.ts";
import type { Queryable } from "../store/sql.ts";
import type { StreamSource } from "./streams.ts";

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
  async function readNow(): Promise<{ readonly row: Row; readonly sequence: number }> {
    const now = await subject.read();
    if (!now) throw new Error(`${id} is gone`);
    return now;
  }

  return {
    name: id,
    topic,
    positions: /^\d{1,9}$/,
    async snapshot() {
      const { row, sequence } = await readNow();
      return { data: row, position: String(sequence), isTerminal: subject.isTerminal(row) };
    },
    async deltasAfter(position) {
      const after = Number(position);
      const { row, sequence } = await readNow();
      if (after > sequence) return undefined;
      const missed = after === sequence ? [] : await changes.ofSubject(db, projectId, id, after, BATCH);
      // What came after the row was read waits for the next look, so that the last delta shows the row as it was read.
      const shown = missed.filter((change) => change.sequence <= sequence);
      const isComplete = (shown.at(-1)?.sequence ?? after) === sequence;
      return {
        deltas: shown.map((change) => ({
          data: change.sequence === sequence ? row : subject.asOf(row, change),
          position: String(change.sequence),
        })),
        isTerminal: isComplete && subject.isTerminal(row),
      };
    },
  };
}
