import { deliveryStatuses, runStatuses, stepStatuses, triggerStatuses, workflowRunStatuses } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { deliveryMoves, isTerminalDeliveryStatus, terminalDeliveryStatuses } from "./delivery-status.ts";
import { allows, type Moves, movesFrom, terminal } from "./moves.ts";
import { isTerminalRunStatus, runMoves, terminalRunStatuses } from "./run-status.ts";
import { isTerminalStepStatus, stepMoves, terminalStepStatuses } from "./step-status.ts";
import { isTerminalTriggerStatus, terminalTriggerStatuses, triggerMoves } from "./trigger-status.ts";
import { isTerminalWorkflowRunStatus, terminalWorkflowRunStatuses, workflowRunMoves } from "./workflow-run-status.ts";

describe("a table of moves", () => {
  test("tells which moves a status allows", () => {
    expect(movesFrom(runMoves, "delayed")).toEqual(["release", "expire", "cancel"]);
    expect(movesFrom(runMoves, "dead_letter")).toEqual(["replay"]);
    expect(movesFrom(runMoves, "completed")).toEqual([]);
    expect(allows(runMoves.resume, "waiting")).toBe(true);
    expect(allows(runMoves.resume, "executing")).toBe(false);
  });

  test("counts a status as terminal when only a move that reopens leaves it", () => {
    expect(
      terminal(["a", "b", "c"], { go: { from: ["a"], to: "b" }, back: { from: ["b"], to: "a", reopens: true } }),
    ).toEqual(["b", "c"]);
  });
});

describe("the terminal statuses", () => {
  test("of a run are those that clients wait for, dead_letter included", () => {
    expect(terminalRunStatuses).toEqual([
      "completed",
      "failed",
      "timed_out",
      "crashed",
      "system_failed",
      "canceled",
      "expired",
      "dead_letter",
    ]);
    expect(runStatuses.filter(isTerminalRunStatus)).toEqual(terminalRunStatuses);
  });

  test("of a trigger are all but waiting", () => {
    expect(terminalTriggerStatuses).toEqual(["received", "timed_out", "canceled", "superseded"]);
    expect(triggerStatuses.filter(isTerminalTriggerStatus)).toEqual(terminalTriggerStatuses);
  });

  test("of a step are those that let a workflow run end", () => {
    expect(terminalStepStatuses).toEqual(["completed", "failed", "skipped", "canceled"]);
    expect(stepStatuses.filter(isTerminalStepStatus)).toEqual(terminalStepStatuses);
  });

  test("of a workflow run leave out paused", () => {
    expect(terminalWorkflowRunStatuses).toEqual(["completed", "failed", "timed_out", "canceled"]);
    expect(workflowRunStatuses.filter(isTerminalWorkflowRunStatus)).toEqual(terminalWorkflowRunStatuses);
  });

  test("of a delivery can be reopened by asking for a retry", () => {
    expect(terminalDeliveryStatuses).toEqual(["delivered", "failed", "dead"]);
    expect(deliveryStatuses.filter(isTerminalDeliveryStatus)).toEqual(terminalDeliveryStatuses);
  });
});

describe.each<[string, readonly string[], Moves<string>, readonly string[]]>([
  ["run", runStatuses, runMoves, ["delayed", "queued", "waiting", "executing"]],
  ["trigger", triggerStatuses, triggerMoves, ["waiting"]],
  ["step", stepStatuses, stepMoves, ["pending"]],
  ["workflow run", workflowRunStatuses, workflowRunMoves, ["pending"]],
  ["delivery", deliveryStatuses, deliveryMoves, ["pending"]],
])("the statuses of a %s", (_, statuses, moves, born) => {
  test("are all reached from those in which it is born", () => {
    const reached = new Set(born);
    for (const status of reached) {
      for (const move of Object.values(moves)) {
        if (move.from.includes(status)) reached.add(move.to);
      }
    }
    expect([...reached].sort()).toEqual([...statuses].sort());
  });

  test("can all reach an end", () => {
    const ends = new Set(terminal(statuses, moves));
    for (const _ of statuses) {
      for (const move of Object.values(moves)) {
        if (ends.has(move.to)) for (const from of move.from) ends.add(from);
      }
    }
    expect(ends.size).toBe(statuses.length);
  });
});
