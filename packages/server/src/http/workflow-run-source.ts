import { isTerminalWorkflowRunStatus } from "@strait/core";
import * as changes from "../store/changes.ts";
import type { Queryable } from "../store/sql.ts";
import * as stepRuns from "../store/step-runs.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import type { StreamSource } from "./stream-source.ts";

const BATCH = 1_000;
const START = "0.0";

/** `xid.seq`, as a feed is ordered. */
function placeOf(position: string): { xid: string; seq: number } {
  const [xid = "0", seq = "0"] = position.split(".");
  return { xid, seq: Number(seq) };
}

function isFurther(a: string, b: string): boolean {
  const [left, right] = [placeOf(a), placeOf(b)];
  const [leftXid, rightXid] = [BigInt(left.xid), BigInt(right.xid)];
  return leftXid > rightXid || (leftXid === rightXid && left.seq > right.seq);
}

/**
 * The stream of a workflow run: the feed of everything that belongs to it. Changes that are there together are told
 * together, by the workflow run with its steps as they are now.
 */
export function workflowRunSource(db: Queryable, projectId: string, id: string): StreamSource {
  async function readNow() {
    const run = await workflowRuns.find(db, projectId, id);
    if (!run) return undefined;
    const steps = await stepRuns.list(db, projectId, id);
    return { data: { ...run, steps }, isTerminal: isTerminalWorkflowRunStatus(run.status) };
  }

  /** How far the feed may be read behind `position`, and whether there is something that may not be read yet. */
  async function readFeed(position: string): Promise<{ position: string; isUpToDate: boolean }> {
    const rows = await changes.ofWorkflowRun(db, projectId, id, placeOf(position), BATCH);
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
    const now = await readNow();
    if (now === undefined) return undefined;
    const { data, isTerminal } = now;
    // The end may have been committed in between, and its cursor is to be the last.
    const last = isTerminal ? await readFeed(feed.position) : feed;
    return { data, position: last.position, isTerminal: isTerminal && last.isUpToDate, hasMore: !last.isUpToDate };
  }

  return {
    name: id,
    topic: `workflow_run:${id}`,
    positions: /^\d{1,18}\.\d{1,18}$/,
    isBehind: isFurther,
    watched: (position) => ({ feed: "workflow_run", name: id, project_id: projectId, id, ...placeOf(position) }),
    async snapshot() {
      // What is committed after the position was read is in the data, and is told once more.
      for (let before = START; ; ) {
        const now = await lookBehind(before);
        if (now === undefined) throw new Error(`${id} was deleted while its stream was opened`);
        if (now.position === before) return now;
        before = now.position;
      }
    },
    async deltasAfter(position) {
      const now = await lookBehind(position);
      if (now === undefined) return undefined;
      const { isTerminal, hasMore } = now;
      return { deltas: now.position === position ? [] : [now], isTerminal, hasMore };
    },
  };
}
