import { expect, test } from "vitest";
import {
  disabled,
  hasLiveRuns,
  noSteps,
  otherSet,
  otherVersion,
  severalWait,
  slugTaken,
  tooManyForOne,
} from "./conflicts.ts";

test.each([
  [slugTaken("job", "review"), "conflict", 'the slug "review" is taken by another job', { slug: "review" }],
  [disabled("workflow", "review"), "conflict", 'workflow "review" is disabled', {}],
  [hasLiveRuns("job", "review"), "conflict", 'job "review" has runs that have not ended', {}],
  [noSteps("review"), "conflict", 'workflow "review" has no steps', {}],
  [severalWait("review:7", 2), "conflict", '2 waits share event key "review:7"', { event_key: "review:7" }],
  [
    otherVersion({ id: "trg_1", event_key: "review:7", version: 3 }, 2),
    "expectation_failed",
    'the deadline of event trigger "review:7" is at version 3, not 2',
    { trigger_id: "trg_1", event_key: "review:7", version: 3 },
  ],
  [otherSet({ count: 2, digest: "d" }), "expectation_failed", "than expected, 2 now", { count: 2, digest: "d" }],
  [tooManyForOne(1_000), "expectation_failed", "more than 1000 waits are open under the prefix", {}],
])("a conflict says what stands in the way, and what to do: %s", (error, code, beginning, details) => {
  expect(error).toMatchObject({ code, details });
  expect(error.message).toContain(beginning);
});
