import type { TriggerStatus } from "@strait/contract";
import { expect, test } from "vitest";
import { decideGroup, groupResult, neededBy } from "./decide-group.ts";

const statuses = { r: "received", w: "waiting", c: "canceled", t: "timed_out" } as const satisfies Record<
  string,
  TriggerStatus
>;
const members = (letters: string) =>
  [...letters].map((letter) => ({ status: statuses[letter as keyof typeof statuses] }));

test.each([
  ["any", undefined, "www", "open"],
  ["any", undefined, "wrw", "met"],
  ["any", undefined, "cwc", "open"],
  ["any", undefined, "ccc", "impossible"],
  ["all", undefined, "rrw", "open"],
  ["all", undefined, "rrr", "met"],
  ["all", undefined, "rcw", "impossible"],
  ["at_least", undefined, "rwc", "impossible"],
  ["at_least", 2, "rwc", "open"],
  ["at_least", 2, "rrw", "met"],
  ["at_least", 2, "rcc", "impossible"],
] as const)("R8 a group that needs %s %s of %s is %s", (mode, count, letters, verdict) => {
  const group = { mode, needed: neededBy(mode, count, letters.length), overdue: false };

  expect(decideGroup(group, members(letters))).toBe(verdict);
});

test("R2 R8 a deadline ends what has not enough answers, and nothing that has", () => {
  const group = { mode: "at_least", needed: 2, overdue: true } as const;

  expect(decideGroup(group, members("rww"))).toBe("timed_out");
  expect(decideGroup(group, members("rrw"))).toBe("met");
});

test("R8 the result has every wait in the order of the request, with its payload or why it has none", () => {
  const cancellation = { kind: "rejected", reason: "no", actor: "apikey:key_1", details: null };
  const wait = (event_key: string, status: TriggerStatus, response_payload: unknown, ended: object | null = null) =>
    ({ id: `trg_${event_key}`, event_key, status, response_payload, cancellation: ended }) as never;

  const waits = [wait("a", "canceled", null, cancellation), wait("b", "received", 1)];
  const result = groupResult({ mode: "any", needed: 1 }, waits, "b");

  expect(result).toEqual({
    mode: "any",
    count: 1,
    winner: "b",
    results: [
      { event_key: "a", trigger_id: "trg_a", status: "canceled", payload: null, cancellation },
      { event_key: "b", trigger_id: "trg_b", status: "received", payload: 1, cancellation: null },
    ],
  });
});
