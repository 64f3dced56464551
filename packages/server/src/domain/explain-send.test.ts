import type { EventRecord, EventTrigger, NearKey } from "@strait/contract";
import { describe, expect, test } from "vitest";
import type { LatestTrigger } from "./decide-send.ts";
import { explainEvent, explainNow, explainUnknown, explainWait } from "./explain-send.ts";

const EARLY = "2026-01-01T00:00:00.000000Z";
const OPENED = "2026-01-02T00:00:00.000000Z";
const DUE = "2026-01-03T00:00:00.000000Z";

function wait(change: Partial<LatestTrigger> = {}): LatestTrigger {
  const still = {
    status: "waiting",
    overdue: false,
    filter: null,
    payload_schema: null,
    max_payload_bytes: null,
    sent_by: null,
    error: null,
  };
  const times = { requested_at: OPENED, expires_at: DUE, received_at: null, finished_at: DUE, cancellation: null };
  return { id: "trg_1", event_key: "kyc:1", generation: 2, ...still, ...times, ...change } as LatestTrigger;
}

function event(disposition: EventRecord["disposition"], change: Partial<EventRecord> = {}): EventRecord {
  const sent = { created_at: DUE, expires_at: DUE, generation: 2, trigger_id: "trg_1" };
  return { disposition, is_rejection: false, for_next: false, ...sent, ...change } as EventRecord;
}

describe("what became of an event", () => {
  test.each<[EventRecord, EventTrigger | undefined, string, RegExp]>([
    [event("delivered"), wait(), "R1", /ended the wait of generation 2 as received/],
    [event("delivered", { created_at: EARLY }), wait(), "B2", /came before anybody waited/],
    [event("delivered", { is_rejection: true }), wait(), "S5", /as canceled/],
    [event("recorded", { generation: null }), undefined, "D3", /counts for the wait, which needs more/],
    [event("duplicate"), wait(), "S1", /Sending again is safe/],
    [event("duplicate", { is_rejection: true }), wait(), "S5", /same rejection/],
    [event("buffered", { for_next: true }), wait(), "B3", /sent with for_next/],
    [event("buffered"), wait(), "B1", /filter of the wait of generation 2 is not true/],
    [event("buffered", { trigger_id: null }), undefined, "B1", /Nobody had waited/],
    [event("conflict"), wait(), "S1", /first answer wins/],
    [event("late"), wait({ status: "timed_out" }), "R2", /had ended as timed_out at/],
    [event("late"), wait({ status: "canceled" }), "B3", /had ended as canceled at/],
    [event("late"), undefined, "B3", /had ended\. What is late/],
    [event("rejected"), wait(), "D6", /does not take its payload, and stays open/],
    [event("rejected", { created_at: EARLY }), wait(), "B8", /does not take its payload/],
    [event("expired"), undefined, "B7", /never delivered/],
  ])("D1 is explained by its rule (%#)", (sent, met, rule, text) => {
    expect(explainEvent(sent, met)).toEqual({ rule, text: expect.stringMatching(text) });
  });
});

describe("what a send would meet now", () => {
  test.each<[LatestTrigger | undefined, number, string, string, RegExp]>([
    [undefined, 202, "buffered", "B1", /kept for the first wait/],
    [wait(), 200, "delivered", "R1", /an event ends it\. Its deadline is/],
    [wait({ expires_at: null, filter: "payload.ok" }), 200, "delivered", "R1", /if the filter .* no deadline/],
    [wait({ payload_schema: { type: "object" } }), 200, "delivered", "R1", /fits the payload_schema/],
    [
      wait({ filter: "true", max_payload_bytes: 9 }),
      200,
      "delivered",
      "R1",
      /if the filter .* and its payload has 9 bytes/,
    ],
    [wait({ status: "received" }), 409, "conflict", "S1", /equal payload is a duplicate/],
    [wait({ overdue: true }), 409, "late", "R2", /passed its deadline/],
    [wait({ status: "timed_out" }), 409, "late", "R2", /passed its deadline/],
    [wait({ status: "superseded" }), 409, "late", "B3", /is superseded, so an event comes too late/],
  ])("D1 is foretold (%#)", (latest, status, disposition, rule, text) => {
    expect(explainNow(latest)).toMatchObject({
      status,
      disposition,
      explanation: { rule, text: expect.stringMatching(text) },
    });
  });
});

describe("how a wait stands", () => {
  test.each<[Partial<LatestTrigger>, string, RegExp]>([
    [{}, "R1", /waits since .*; its deadline is/],
    [{ expires_at: null }, "R1", /only an event or a cancellation ends it/],
    [{ status: "received", received_at: DUE }, "R1", /received its answer at/],
    [{ status: "received", received_at: DUE, sent_by: "apikey:key_1" }, "R1", /its answer from apikey:key_1 at/],
    [{ status: "timed_out" }, "R2", /no answer by its deadline/],
    [{ status: "superseded" }, "U2", /gave way to a later wait/],
    [{ status: "canceled" }, "R5", /ended without an answer at .*: canceled\./],
    [
      { status: "canceled", error: "no", cancellation: { kind: "rejected", reason: "no", actor: "x", details: null } },
      "S5",
      /: no\./,
    ],
  ])("D1 is said in a sentence (%#)", (change, rule, text) => {
    expect(explainWait(wait(change))).toEqual({ rule, text: expect.stringMatching(text) });
  });
});

describe("a key on which nobody ever waited", () => {
  const near = (environment_id: string) => ({ event_key: "kyc:10", environment_id }) as NearKey;

  test.each<[number, NearKey[], RegExp]>([
    [0, [], /nothing is kept for it\. Keys are compared byte for byte/],
    [1, [near("env_1")], /an event is kept .* Was "kyc:10" meant\?/],
    [2, [near("env_2")], /events are kept .* in the environment env_2; these credentials are for env_1/],
  ])("D1 is told with what may have been meant (%#)", (kept, nearest, text) => {
    expect(explainUnknown(kept, nearest, "env_1")).toEqual({ rule: "B1", text: expect.stringMatching(text) });
  });
});
