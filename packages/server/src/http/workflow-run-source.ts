import { isTerminalWorkflowRunStatus } from "@strait/core";
import * as changes from "../store/changes.ts";
import type { Queryable } from "../store/sql.ts";
import * as stepRuns from "../store/step-runs.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import type { StreamSource } from "./streams.ts";

const BATCH = 1_000;
const START = "0.0";

/**
 * The stream of a workflow run: the feed of everything that belongs to it. Changes that are there together are told
 * together, by the workflow run with its steps as they are now.
 */
export function workflowRunSource(db: Queryable, projectId: string, id: string): StreamSource {
  async function readNow() {
    const run = await workflowRuns.find(db, projectId, id);
    if (!run) throw new Error(`${id} is gone`);
    const steps = await stepRuns.list(db, projectId, id);
    return { data: { ...run, steps }, isTerminal: isTerminalWorkflowRunStatus(run.status) };
  }

  /** How far the feed may be read behind `position`, and whether there is something that may not be read yet. */
  async function readFeed(position: string): Promise<{ position: string; isUpToDate: boolean }> {
    const [xid = "0", seq = "0"] = position.split(".");
    const rows = await changes.ofWorkflowRun(db, projectId, id, { xid, seq: Number(seq) }, BATCH);
    const unsettled = rows.findIndex((change) => !change.is_settled);
    const readable = unsettled === -1 ? rows : rows.slice(0, unsettled);
    const last = readable.at(-1);
    return {
      position: last ? `${last.xid}.${last.seq}` : position,
      isUpToDate: readable.length === rows.length && rows.length < BATCH,
    };
  }

  async function lookBehind(position: string) {
    const feed = await readFeed(position);
    const { data, isTerminal } = await readNow();
    // The end may have been committed in between, and its cursor is to be the last.
    const last = isTerminal ? await readFeed(feed.position) : feed;
    return { data, position: last.position, isTerminal: isTerminal && last.isUpToDate };
  }

  return {
    name: id,
    topic: `workflow_run:${id}`,
    positions: /^\d{1,18}\.\d{1,18}$/,
    async snapshot() {
      // What is committed after the position was read is in the data, and is told once more.
      let before = START;
      let now = await lookBehind(START);
      for (; now.position !== before; now = await lookBehind(before)) before = now.position;
      return now;
    },
    async deltasAfter(position) {
      const now = await lookBehind(position);
      return { deltas: now.position === position ? [] : [now], isTerminal: now.isTerminal };
    },
  };
}
