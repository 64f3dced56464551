import { describe, expect, test } from "vitest";
import { asOf } from "./as-of.ts";

const completed = {
  id: "run_1",
  status: "completed",
  attempt: 2,
  finished_at: "2026-11-21T10:00:00.000000Z",
  result: { ok: true },
  error: null,
};

describe("the object of a delta", () => {
  test("is the row itself when the change is its last one, or no change of status", () => {
    expect(asOf(completed, { after: "completed" }, true)).toBe(completed);
    expect(asOf(completed, { after: null }, false)).toBe(completed);
  });

  test("shows nothing of an end that had not come yet", () => {
    const then = asOf(completed, { after: "executing" }, false);

    expect(then).toEqual({ ...completed, status: "executing", finished_at: null, result: null });
  });

  test("gets no field that its row does not have", () => {
    const trigger = {
      status: "received",
      finished_at: "2026-11-21T10:00:00.000000Z",
      response_payload: 1,
      sent_by: "a",
    };

    const then = asOf(trigger, { after: "waiting" }, false);

    expect(then).toEqual({ status: "waiting", finished_at: null, response_payload: null, sent_by: null });
  });

  test("keeps its end when the change is final and another one has reopened it since", () => {
    const replayed = { ...completed, status: "queued" };

    expect(asOf(replayed, { after: "dead_letter" }, true)).toEqual({ ...completed, status: "dead_letter" });
  });
});
