import { expect, test } from "vitest";
import { effectOf } from "./wait-effect.ts";

const failing = { on_timeout: "fail", on_cancel: "fail" };
const resuming = { on_timeout: "resume", on_cancel: "resume" };

test.each([
  ["an answer", { status: "received", kind: null, ...failing }, "resume", "event"],
  ["a timeout", { status: "timed_out", kind: null, ...failing }, "timeOut", null],
  ["a timeout that resumes", { status: "timed_out", kind: null, ...resuming }, "resume", "timeout"],
  [
    "a timeout that resolves",
    { status: "timed_out", kind: null, ...failing, on_timeout: "resolve" },
    "resume",
    "timeout",
  ],
  ["a cancellation (R5)", { status: "canceled", kind: "canceled", ...failing }, "cancel", null],
  ["a cancellation that resumes (R5)", { status: "canceled", kind: "canceled", ...resuming }, "resume", "canceled"],
  ["a rejection (S5)", { status: "canceled", kind: "rejected", ...failing }, "fail", null],
  ["a rejection that resumes (S5)", { status: "canceled", kind: "rejected", ...resuming }, "resume", "rejected"],
  ["a later wait (U2)", { status: "superseded", kind: "superseded", ...failing }, "cancel", null],
] as const)("what %s means for the run", (_, ended, move, resume_reason) => {
  expect(effectOf(ended)).toEqual({ move, resume_reason });
});
