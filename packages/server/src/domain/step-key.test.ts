import { expect, test } from "vitest";
import { stepKey, unfilledPayload } from "./step-key.ts";

const scope = {
  payload: { doc: 7 },
  parent_outputs: {},
  workflow_run_id: "wfr_1",
  workflow_id: "wf_1",
  project_id: "proj_1",
  step_ref: "gate",
};

test("a step has the key that its template makes", () => {
  expect(stepKey("event_key", "review:{{payload.doc}}", scope)).toEqual({ ok: true, value: "review:7" });
});

test("a step has no key when its template cannot be filled, or makes none", () => {
  const unfilled = stepKey("event_key", "review:{{payload.page}}", scope);
  const none = stepKey("event_emit_key", "x".repeat(5_000), scope);

  expect(unfilled).toMatchObject({ ok: false, message: expect.stringMatching(/^the event_key cannot be filled: ./) });
  expect(none).toMatchObject({
    ok: false,
    message: expect.stringMatching(/^what the event_emit_key makes is no key: ./),
  });
});

test("a payload that cannot be filled names the place", () => {
  expect(unfilledPayload({ pointer: "/doc", message: "there is none" })).toBe(
    "the payload cannot be filled at /payload/doc: there is none",
  );
});
