import { describe, expect, test } from "vitest";
import {
  checkNewDeadline,
  checkOneDeadline,
  checkWindow,
  eventKeyOf,
  foreignCursor,
  foreignPage,
  oneOf,
  prefixOf,
  unknownJob,
} from "./request-rules.ts";

/** The field and the rule that a check names; undefined when it passes. */
function refusalOf(check: () => unknown): unknown {
  try {
    check();
    return undefined;
  } catch (error) {
    return (error as { details: { issues: { field: string; rule: string }[] } }).details.issues.map(
      ({ field, rule }) => [field, rule],
    )[0];
  }
}

const deadline = "2026-01-01T00:00:00Z";

describe("a request", () => {
  test("names a key in its one form, or is refused at the field that has it", () => {
    expect(eventKeyOf("e\u0301", "/event_key")).toBe("\u00e9");
    expect(refusalOf(() => eventKeyOf("", "/event_key"))).toEqual(["/event_key", expect.any(String)]);
  });

  test("names a prefix, and a short one only on purpose", () => {
    expect(prefixOf("e\u0301:", true)).toBe("\u00e9:");
    expect(prefixOf("abc", false)).toBe("abc");
    expect(refusalOf(() => prefixOf("ab", false))).toEqual(["/path/prefix", "minLength"]);
    expect(refusalOf(() => prefixOf("", true))).toEqual(["/path/prefix", expect.any(String)]);
  });

  test("gives a deadline in one way", () => {
    expect(refusalOf(() => checkOneDeadline({}))).toBeUndefined();
    expect(refusalOf(() => checkOneDeadline({ deadline }))).toBeUndefined();
    expect(refusalOf(() => checkOneDeadline({ deadline, timeout_secs: null }))).toEqual([
      "/deadline",
      "notWithTimeout",
    ]);
  });

  test("changes a deadline to something", () => {
    expect(refusalOf(() => checkNewDeadline({ timeout_secs: null }))).toBeUndefined();
    expect(refusalOf(() => checkNewDeadline({ deadline }))).toBeUndefined();
    expect(refusalOf(() => checkNewDeadline({}))).toEqual(["/timeout_secs", "required"]);
    expect(refusalOf(() => checkNewDeadline({ deadline, timeout_secs: 1 }))).toEqual(["/deadline", "notWithTimeout"]);
  });

  test("asks for deadlines of what waits", () => {
    expect(refusalOf(() => checkWindow({ status: "received" }))).toBeUndefined();
    expect(refusalOf(() => checkWindow({ expires_after: deadline }))).toBeUndefined();
    expect(refusalOf(() => checkWindow({ status: "waiting", expires_before: deadline }))).toBeUndefined();
    expect(refusalOf(() => checkWindow({ status: "received", expires_before: deadline }))).toEqual([
      "/query/status",
      "waitingWithDeadline",
    ]);
  });

  test("names exactly one of several", () => {
    expect(oneOf(["a", "b"], { b: "2" })).toEqual(["b", "2"]);
    expect(refusalOf(() => oneOf(["a", "b"], {}))).toEqual(["", "oneOf"]);
    expect(refusalOf(() => oneOf(["a", "b"], { a: "1", b: "2" }))).toEqual(["/b", "oneOf"]);
  });

  test("goes on where its own stream was, and with jobs that there are", () => {
    expect(foreignCursor("/query/cursor")).toMatchObject({ code: "validation_error" });
    expect(foreignPage("/cursor")).toMatchObject({ code: "validation_error" });
    expect(unknownJob(2, "review")).toMatchObject({ field: "/steps/2/job_id", rule: "knownJob" });
  });
});
