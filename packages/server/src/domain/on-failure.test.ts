import { onFailures } from "@strait/contract";
import { expect, test } from "vitest";
import { standing } from "./on-failure.ts";

test.each(["failed", "canceled"] as const)("a %s step means what its on_failure says", (status) => {
  expect(standing(status, "fail_workflow")).toBe("fatal");
  expect(standing(status, "skip_dependents")).toBe("blocking");
  expect(standing(status, "continue")).toBe("satisfied");
});

test.each([
  ["pending", "open"],
  ["waiting", "open"],
  ["running", "open"],
  ["completed", "satisfied"],
  ["skipped", "blocking"],
] as const)("a %s step is %s whatever its on_failure says", (status, expected) => {
  for (const onFailure of onFailures) expect(standing(status, onFailure)).toBe(expected);
});
