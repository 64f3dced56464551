import { onFailures, stepCancelPolicies, stepTimeoutPolicies } from "@strait/contract";
import { expect, test } from "vitest";
import { standing } from "./on-failure.ts";

test.each(["failed", "canceled"] as const)("a %s step means what its on_failure says", (status) => {
  expect(standing({ status }, { on_failure: "fail_workflow" })).toBe("fatal");
  expect(standing({ status }, { on_failure: "skip_dependents" })).toBe("blocking");
  expect(standing({ status }, { on_failure: "continue" })).toBe("satisfied");
});

test.each([
  ["pending", "open"],
  ["waiting", "open"],
  ["running", "open"],
  ["completed", "satisfied"],
  ["skipped", "blocking"],
] as const)("a %s step is %s whatever its policies say", (status, expected) => {
  for (const on_failure of onFailures) {
    for (const on_timeout of [null, ...stepTimeoutPolicies]) {
      expect(standing({ status }, { on_failure, on_timeout })).toBe(expected);
    }
    for (const on_cancel of stepCancelPolicies) {
      expect(standing({ status }, { on_failure, on_cancel })).toBe(expected);
    }
  }
});

test.each([
  ["fail", "fatal"],
  ["skip_dependents", "blocking"],
  ["continue", "satisfied"],
  ["step", "blocking"],
] as const)("a step that timed out under on_timeout %s is %s whatever its on_failure says", (on_timeout, expected) => {
  for (const on_failure of onFailures) {
    expect(standing({ status: "failed", timed_out: true }, { on_failure, on_timeout })).toBe(expected);
  }
});

test("ST-18 a timeout is a failure like any other where on_timeout is absent, and another failure is no timeout", () => {
  const timedOut = { status: "failed", timed_out: true } as const;
  expect(standing(timedOut, { on_failure: "continue" })).toBe("satisfied");
  expect(standing(timedOut, { on_failure: "fail_workflow", on_timeout: null })).toBe("fatal");
  expect(standing({ status: "canceled" }, { on_failure: "fail_workflow", on_timeout: "continue" })).toBe("fatal");
});

const cancellation = { kind: "rejected", reason: "no", actor: "apikey:key_1", details: null } as const;

test.each([
  ["fail", "fatal"],
  ["skip_dependents", "blocking"],
  ["continue", "satisfied"],
] as const)(
  "R5 a wait that was called off under on_cancel %s is %s whatever its on_failure says",
  (on_cancel, expected) => {
    for (const on_failure of onFailures) {
      expect(standing({ status: "failed", cancellation }, { on_failure, on_cancel })).toBe(expected);
    }
  },
);

test("R5 a cancellation is a failure like any other where on_cancel is absent, and another failure is no cancellation", () => {
  expect(standing({ status: "failed", cancellation }, { on_failure: "continue" })).toBe("satisfied");
  expect(standing({ status: "failed", cancellation }, { on_failure: "fail_workflow", on_cancel: null })).toBe("fatal");
  expect(standing({ status: "failed" }, { on_failure: "fail_workflow", on_cancel: "continue" })).toBe("fatal");
  const timedOut = { status: "failed", timed_out: true } as const;
  expect(standing(timedOut, { on_failure: "fail_workflow", on_cancel: "continue" })).toBe("fatal");
});
