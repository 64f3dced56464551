import { describe, expect, test } from "vitest";
import { afterRunFailure, type RunFailure } from "./run-retry.ts";

const MIDDLE = 0.5;
const failure: RunFailure = {
  attempt: 1,
  maxAttempts: 3,
  strategy: "exponential",
  delaysSecs: [],
  errorClass: "server",
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
      expect(afterRunFailure({ ...failure, attempt: 3, errorClass }, MIDDLE)).toEqual({ move: "bury" });
    }
  });

  test("keeps its attempts however often it fails in the same way", () => {
    const failures = [3, 5, 9].map((attempt) => ({ ...failure, maxAttempts: 10, attempt }));

    const moves = failures.map((failed) => afterRunFailure(failed, MIDDLE).move);

    expect(moves).toEqual(["retry", "retry", "retry"]);
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
