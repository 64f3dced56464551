import { describe, expect, test } from "vitest";
import { prefixSendOf, triggerInputOf } from "./request-defaults.ts";

describe("what a request does not say has its default", () => {
  test("in a trigger, whose body may be absent", () => {
    const said = {
      payload: { a: 1 },
      tags: { b: "c" },
      scheduled_at: "2030-01-01T00:00:00Z",
      priority: 3,
      ttl_secs: 60,
    };

    expect(triggerInputOf(undefined, undefined)).toEqual({
      payload: null,
      tags: {},
      scheduled_at: null,
      priority: 0,
      ttl_secs: null,
      idempotency_key: null,
    });
    expect(triggerInputOf(said, "once")).toEqual({ ...said, idempotency_key: "once" });
  });

  test("in a send to a prefix, whose body may be absent", () => {
    const said = { payload: 1, mode: "atomic", dry_run: true, expect: { count: 2 }, limit: 3, cursor: "c" } as const;

    expect(prefixSendOf("review:", undefined)).toEqual({
      prefix: "review:",
      payload: null,
      mode: "each",
      dry_run: false,
      expect: {},
      limit: 1_000,
      cursor: undefined,
    });
    expect(prefixSendOf("r", { ...said, allow_short: true })).toEqual({ ...said, prefix: "r" });
  });
});
