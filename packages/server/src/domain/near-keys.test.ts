import { describe, expect, test } from "vitest";
import { editDistance, type KnownKey, nearestKeys } from "./near-keys.ts";

describe("the distance of two keys", () => {
  test.each([
    ["review:doc-7", "review:doc-7", 0],
    ["review:doc-7", "review:doc-77", 1],
    ["review:doc-7", "reveiw:doc-7", 1],
    ["review:doc-7", "review:doc_8", 2],
    ["review:doc-7", "eview:doc-", 2],
    ["review:doc-7", "approve:doc-7", undefined],
    ["a", "abcd", undefined],
    ["", "ab", 2],
  ])("of %j and %j is %j", (a, b, distance) => {
    const [there, back] = [editDistance(a, b, 2), editDistance(b, a, 2)];

    expect([there, back]).toEqual([distance, distance]);
  });
});

describe("D1 the nearest keys", () => {
  const key = (event_key: string, environment_id = "live"): KnownKey => ({
    event_key,
    environment_id,
    status: "waiting",
  });

  test("are the same one elsewhere, then other cases, then slips, then the same kind", () => {
    const known = [
      key("review:doc-900"),
      key("review:doc-77"),
      key("review:doc_8"),
      key("Review:Doc-7"),
      key("review:doc-7", "staging"),
      key("invoice:7"),
      key("review:doc-77", "staging"),
    ];

    const nearest = nearestKeys({ event_key: "review:doc-7", environment_id: "live" }, known);

    expect(nearest.map(({ event_key, environment_id, reason }) => [event_key, environment_id, reason])).toEqual([
      ["review:doc-7", "staging", "environment"],
      ["Review:Doc-7", "live", "case"],
      ["review:doc-77", "live", "spelling"],
      ["review:doc_8", "live", "spelling"],
      ["review:doc-900", "live", "beginning"],
    ]);
  });

  test("are none when nothing is like it, and never the key itself", () => {
    const nearest = nearestKeys({ event_key: "a", environment_id: "live" }, [key("a"), key("something-else")]);

    expect(nearest).toEqual([]);
  });
});
