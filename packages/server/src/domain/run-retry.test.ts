import { describe, expect, test } from "vitest";
import { afterRunFailure, type RunFailure } from "./run-retry.ts";

const MIDDLE = 0.5;
const failure: RunFailure = {
  attempt: 1,
  maxAttempts: 3,
  strategy: "exponential",
  delaysSecs: [],
  errorClass: "server",
  previousErrorClass: null,
};

describe("a failed dispatch", () => {
  test("is tried again after the delay of its job's strategy", () => {
    expect(afterRunFailure(failure, MIDDLE)).toEqual({ move: "retry", delayMs: 1_000 });
    expect(afterRunFailure({ ...failure, attempt: 2 }, MIDDLE)).toEqual({ move: "retry", delayMs: 2_000 });
    expect(afterRunFailure({ ...failure, strategy: "custom", delaysSecs: [30] }, MIDDLE)).toEqual({
      move: "retry",
      delayMs: 30_000,
    });
  });

  test("goes to the dead letter queue when no attempt is left, a timeout too", () => {
    for (const errorClass of ["server", "timeout", "reported"] as const) {
      expect(afterRunFailure({ ...failure, attempt: 3, errorClass }, MIDDLE)).toEqual({
        move: "bury",
        because: "attempts_exhausted",
      });
    }
  });

  test("goes there from the third attempt on when it fails as before", () => {
    const again: RunFailure = { ...failure, maxAttempts: 10, previousErrorClass: "server" };
    expect(afterRunFailure({ ...again, attempt: 2 }, MIDDLE)).toMatchObject({ move: "retry" });
    expect(afterRunFailure({ ...again, attempt: 3 }, MIDDLE)).toEqual({ move: "bury", because: "same_error" });
    expect(afterRunFailure({ ...again, attempt: 3, errorClass: "timeout" }, MIDDLE)).toMatchObject({ move: "retry" });
  });

  test("fails for good when the class of the error says that a retry is pointless", () => {
    expect(afterRunFailure({ ...failure, errorClass: "client" }, MIDDLE)).toEqual({ move: "fail" });
    expect(afterRunFailure({ ...failure, errorClass: "auth", attempt: 3 }, MIDDLE)).toEqual({ move: "fail" });
  });

  test("follows the executor's word over the class", () => {
    expect(afterRunFailure({ ...failure, errorClass: "reported", retryable: false }, MIDDLE)).toEqual({ move: "fail" });
    expect(afterRunFailure({ ...failure, errorClass: "client", retryable: true }, MIDDLE)).toMatchObject({
      move: "retry",
    });
  });
});
