import { describe, expect, test } from "vitest";
import { outputOf, stepPayload } from "./step-payload.ts";

const outputs = { "aml-check": { result: "clear" } };

describe("the payload of a step", () => {
  test("is that of the workflow run, overlaid by its own, with the outputs of its dependencies", () => {
    expect(stepPayload({ user_id: 1, a: { b: 1 } }, { a: { c: 2 } }, outputs)).toEqual({
      user_id: 1,
      a: { c: 2 },
      parent_outputs: outputs,
    });
  });

  test("is that of the workflow run when neither it nor a dependency has something to add", () => {
    expect(stepPayload({ user_id: 1 }, null, {})).toEqual({ user_id: 1 });
    expect(stepPayload({ user_id: 1 }, null, outputs)).toEqual({ user_id: 1, parent_outputs: outputs });
    expect(stepPayload(null, null, {})).toEqual({});
  });

  test.each([
    [{ user_id: 1 }, "text", "text"],
    [{ user_id: 1 }, [1], [1]],
    [[1, 2], null, [1, 2]],
    ["text", { a: 1 }, { a: 1 }],
    [7, 0, 0],
  ])("of %j and %j is not merged where one is no object", (workflowPayload, own, expected) => {
    expect(stepPayload(workflowPayload, own, outputs)).toEqual(expected);
  });
});

test("R5 what an ended step has for those behind it is its output, or who called its wait off", () => {
  const cancellation = { kind: "canceled", reason: "withdrawn", actor: "apikey:key_1", details: null } as const;

  expect(outputOf({ status: "completed", output: null, cancellation: null })).toEqual([null]);
  expect(outputOf({ status: "failed", output: null, cancellation })).toEqual([{ cancellation }]);
  expect(outputOf({ status: "failed", output: null, cancellation: null })).toEqual([]);
});
