import type { ErrorIssue } from "@strait/contract";
import { describe, expect, test } from "vitest";
import type { LatestTrigger } from "./decide-send.ts";
import { judgeBy } from "./judge.ts";
import { meet, metBy, NOBODY, type Standing } from "./meet.ts";

const ISSUE: ErrorIssue = { field: "/payload", rule: "type", fix: "send a number" };

/** Here the filter is the only payload that passes, and the schema the type that fits. */
const judge = judgeBy({
  passes: (filter, { payload }) => payload === filter,
  payloadIssues: (schema, payload) => (typeof payload === (schema as { type: string }).type ? [] : [ISSUE]),
});

const event = {
  event_key: "order:7",
  payload: "paid",
  actor: "apikey:key_1",
  if_no_waiter: "buffer",
  for_next: false,
  generation: null,
  trigger_id: null,
} as const;

function wait(id: string, change: Partial<LatestTrigger> = {}): LatestTrigger {
  const terms = { filter: null, payload_schema: null, max_payload_bytes: null, response_payload: null, overdue: false };
  // Nothing else of a trigger is looked at.
  return { id, generation: 1, event_key: "order:7", status: "waiting", ...terms, ...change } as LatestTrigger;
}

const standing = (waiting: readonly LatestTrigger[], latest = waiting.at(-1)): Standing => ({
  ...NOBODY,
  waiting,
  latest,
});

describe("an event meets", () => {
  test("nobody, and is kept, where nobody ever waited", () => {
    expect(meet(NOBODY, event, judge)).toEqual({
      met: undefined,
      others: [],
      hearing: [],
      decision: { kind: "buffer" },
    });
  });

  test("nobody where the wait that it names was deleted, and is told so (W4)", () => {
    const gone = { ...NOBODY, deleted: { id: "trg_1", generation: 1 } };

    const { met, decision } = meet(gone, { ...event, generation: 1 }, judge);

    expect([met, decision]).toMatchObject([undefined, { kind: "refuse", error: { code: "wait_closed" } }]);
  });

  test("a wait that takes no more than its share, in bytes (R8)", () => {
    const fits = meet(standing([wait("trg_1", { max_payload_bytes: 6 })]), event, judge);
    const breaks = meet(standing([wait("trg_1", { max_payload_bytes: 6 })]), { ...event, payload: "päid" }, judge);

    expect(fits.decision).toEqual({ kind: "deliver" });
    expect(breaks.decision).toMatchObject({
      kind: "refuse",
      error: { code: "payload_mismatch", details: { issues: [{ field: "/payload", rule: "maxLength" }] } },
    });
  });

  test("all that share its key, of which the answer shows the one that opened last", () => {
    const waits = [wait("trg_1"), wait("trg_2")];

    const { met, others, decision } = meet(standing(waits), event, judge);

    expect([met?.id, others.map(({ id }) => id), decision.kind]).toEqual(["trg_2", ["trg_1"], "deliver"]);
  });

  test("all or none of them: what one refuses, nobody takes", () => {
    const waits = [wait("trg_1", { payload_schema: { type: "number" } }), wait("trg_2")];

    expect(meet(standing(waits), event, judge).decision).toMatchObject({
      kind: "refuse",
      record: "rejected",
      error: { code: "payload_mismatch", details: { issues: [ISSUE] } },
    });
  });

  test("those alone whose filter is true of it", () => {
    const waits = [wait("trg_1", { filter: "paid" }), wait("trg_2", { filter: "sent" })];

    const { met, hearing, decision } = meet(standing(waits), event, judge);

    expect([met?.id, hearing.map(({ id }) => id), decision.kind]).toEqual(["trg_1", ["trg_1"], "deliver"]);
  });

  test("nobody, and is kept, where no filter is true of it", () => {
    const waits = [wait("trg_1", { filter: "sent" })];

    expect(meet(standing(waits), event, judge).decision).toEqual({ kind: "buffer" });
    const strict = meet(standing(waits), { ...event, if_no_waiter: "fail" }, judge).decision;
    expect(strict).toMatchObject({ kind: "refuse", error: { code: "not_found" } });
  });

  test("a wait that it names, whose filter then has to be true of it", () => {
    const waits = [wait("trg_1", { filter: "sent" })];

    expect(meet(standing(waits), { ...event, trigger_id: "trg_1" }, judge).decision).toMatchObject({
      kind: "refuse",
      error: { code: "payload_mismatch", details: { issues: [{ rule: "filter" }] } },
    });
  });

  test("the answer that it repeats, rather than those that are deaf to it", () => {
    const answered = wait("trg_1", { status: "received", response_payload: "paid" });
    const deaf = wait("trg_2", { filter: "sent" });

    expect(meet(standing([deaf], answered), event, judge)).toMatchObject({
      met: { id: "trg_1" },
      decision: { kind: "duplicate" },
    });
    expect(meet(standing([deaf], answered), { ...event, for_next: true }, judge).decision).toEqual({ kind: "buffer" });
  });
});

describe("a caller meets", () => {
  test("the wait that it names, be it open or ended, else the last that is open, else the latest", () => {
    const [first, second, ended] = [wait("trg_1"), wait("trg_2"), wait("trg_0", { status: "received" })];
    const all = { waiting: [first, second], latest: second, named: [ended] };

    expect(metBy(all, "trg_1")?.id).toBe("trg_1");
    expect(metBy(all, "trg_0")?.id).toBe("trg_0");
    expect(metBy(all, null)?.id).toBe("trg_2");
    expect(metBy({ ...NOBODY, latest: ended }, null)?.id).toBe("trg_0");
  });
});
