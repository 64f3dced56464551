import { describe, expect, test } from "vitest";
import { afterDeliveryFailure } from "./delivery-retry.ts";

describe("a failed webhook delivery", () => {
  test.each([undefined, 302, 500])("is tried again four times when the answer is %s", (httpStatus) => {
    expect([1, 2, 3, 4, 5].map((failures) => afterDeliveryFailure(failures, httpStatus))).toEqual([
      { kind: "retry", delayMs: 5_000 },
      { kind: "retry", delayMs: 25_000 },
      { kind: "retry", delayMs: 125_000 },
      { kind: "retry", delayMs: 625_000 },
      { kind: "dead_letter", because: "attempts_exhausted" },
    ]);
  });

  test.each([400, 404, 429, 499])("is final when the receiver answers %d", (httpStatus) => {
    expect(afterDeliveryFailure(1, httpStatus)).toEqual({ kind: "dead_letter", because: "client_error" });
  });

  test.each([0, -1, 1.5, Number.NaN])("cannot be number %d", (failures) => {
    expect(() => afterDeliveryFailure(failures, 500)).toThrow(RangeError);
  });
});
