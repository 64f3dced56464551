import { describe, expect, test } from "vitest";
import type { KnownKey } from "../store/event-records.ts";
import { nearestKeys } from "./near-keys.ts";

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
      key("review:doc__8"),
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
