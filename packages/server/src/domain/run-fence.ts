import type { RunStatus } from "@strait/contract";
import { isTerminalRunStatus } from "@strait/core";
import { notFound, runClosed, staleDispatch } from "./errors.ts";

/** What of a run decides who may act for it. */
interface Fence {
  readonly status: RunStatus;
  readonly dispatch_seq: number;
}

/** @throws {StraitError} when the run has ended, or another dispatch has replaced the caller's. */
export function checkFence<Row extends Fence>(
  { runId, dispatchSeq }: { readonly runId: string; readonly dispatchSeq: number },
  fence: Row | undefined,
): asserts fence is Row {
  if (!fence) throw notFound("run", runId);
  if (isTerminalRunStatus(fence.status)) throw runClosed(runId, fence.status);
  if (fence.dispatch_seq !== dispatchSeq) throw staleDispatch(runId, dispatchSeq, fence.dispatch_seq);
}
