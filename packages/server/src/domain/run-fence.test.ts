import { expect, test } from "vitest";
import { checkFence } from "./run-fence.ts";

const caller = { runId: "run_1", dispatchSeq: 2 };

test("the latest dispatch of a live run may act", () => {
  expect(() => checkFence(caller, { status: "executing", dispatch_seq: 2 })).not.toThrow();
});

test.each([
  ["no run", undefined, "not_found"],
  ["a run that has ended", { status: "completed", dispatch_seq: 2 }, "run_closed"],
  ["a run that was dispatched again (X1)", { status: "executing", dispatch_seq: 3 }, "stale_dispatch"],
] as const)("nobody acts for %s", (_, fence, code) => {
  expect(() => checkFence(caller, fence)).toThrow(expect.objectContaining({ code }));
});
