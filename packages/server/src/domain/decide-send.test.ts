import { type TriggerStatus, triggerStatuses } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { decideReject, decideSend, type LatestTrigger, type Rejection, type Send } from "./decide-send.ts";

const send: Send = {
  event_key: "aml:user-456",
  payload: { result: "clear" },
  if_no_waiter: "fail",
  for_next: false,
  generation: null,
  trigger_id: null,
};

function latest(status: TriggerStatus, change: Partial<LatestTrigger> = {}): LatestTrigger {
  const ended = status === "waiting" ? null : "2026-11-21T10:00:00.000000Z";
  return {
    id: "trg_2",
    event_key: "aml:user-456",
    generation: 2,
    broadcast: false,
    project_id: "proj_1",
    environment_id: "env_1",
    source_type: "job_run",
    trigger_type: "event",
    workflow_run_id: null,
    workflow_step_run_id: null,
    job_run_id: "run_1",
    status,
    request_payload: null,
    response_payload: status === "received" ? { result: "clear" } : null,
    timeout_secs: 3600,
    requested_at: "2026-11-21T09:00:00.000000Z",
    received_at: status === "received" ? ended : null,
    finished_at: ended,
    expires_at: "2026-11-21T10:00:00.000000Z",
    grace_secs: 0,
    version: 1,
    error: null,
    cancellation: null,
    notify_url: null,
    notify_status: null,
    sent_by: null,
    payload_schema: null,
    filter: null,
    on_timeout: null,
    timeout_payload: null,
    on_cancel: null,
    tags: {},
    group_id: null,
    max_payload_bytes: null,
    overdue: false,
    ...change,
  };
}

const refusal = (code: string, record: string | null) => ({
  kind: "refuse",
  record,
  error: expect.objectContaining({ code }),
});

describe("an event whose key nobody ever waited on", () => {
  test("is refused by default", () => {
    expect(decideSend(undefined, send)).toEqual(refusal("not_found", null));
  });

  test("is kept when the sender asks for it, in either way", () => {
    expect(decideSend(undefined, { ...send, if_no_waiter: "buffer" })).toEqual({ kind: "buffer" });
    expect(decideSend(undefined, { ...send, for_next: true })).toEqual({ kind: "buffer" });
  });

  test("is refused when it is meant for a wait that never was", () => {
    const buffered: Send = { ...send, if_no_waiter: "buffer" };

    expect(decideSend(undefined, { ...buffered, generation: 1 })).toEqual(refusal("stale_generation", null));
    expect(decideSend(undefined, { ...buffered, trigger_id: "trg_1" })).toEqual(refusal("stale_generation", null));
  });

  test("W4 U4 knows the wait that was deleted by its generation or id: it has ended, and another one is stale", () => {
    const buffered: Send = { ...send, if_no_waiter: "buffer" };
    const deleted = { id: "trg_2", generation: 2 };
    const decide = (meant: object) => decideSend(undefined, { ...buffered, ...meant }, deleted);

    expect(decide({ generation: 2 })).toEqual(refusal("wait_closed", null));
    expect(decide({ trigger_id: "trg_2" })).toEqual(refusal("wait_closed", null));
    expect(decide({ generation: 2, for_next: true })).toEqual({ kind: "buffer" });
    expect(decide({ generation: 1 })).toEqual(refusal("stale_generation", null));
    expect(decide({ trigger_id: "trg_1" })).toEqual(refusal("stale_generation", null));
    expect(decide({})).toEqual({ kind: "buffer" });
  });
});

describe("an event whose key somebody waits on", () => {
  test("is delivered, whatever the sender says about the next wait", () => {
    expect(decideSend(latest("waiting"), send)).toEqual({ kind: "deliver" });
    expect(decideSend(latest("waiting"), { ...send, for_next: true })).toEqual({ kind: "deliver" });
  });

  test("is delivered to the wait that it names, and to no other", () => {
    expect(decideSend(latest("waiting"), { ...send, generation: 2, trigger_id: "trg_2" })).toEqual({ kind: "deliver" });
    expect(decideSend(latest("waiting"), { ...send, generation: 1 })).toEqual(refusal("stale_generation", null));
    expect(decideSend(latest("waiting"), { ...send, trigger_id: "trg_1" })).toEqual(refusal("stale_generation", null));
  });

  test("is late when the deadline has passed, whether or not a sweeper has been", () => {
    const decision = decideSend(latest("waiting", { overdue: true }), send);

    expect(decision).toEqual(refusal("wait_closed", "late"));
    expect(decision).toMatchObject({ error: { details: { status: "timed_out" } } });
  });
});

describe("an event whose wait has ended", () => {
  test("is a duplicate when it is the one that was received, equal as JSON", () => {
    const received = latest("received", { response_payload: { a: 1, b: [2] } });

    expect(decideSend(received, { ...send, payload: { b: [2], a: 1 } })).toEqual({ kind: "duplicate" });
  });

  test("conflicts when another one was received: the first won", () => {
    expect(decideSend(latest("received"), { ...send, payload: { result: "hit" } })).toEqual(
      refusal("already_resolved", "conflict"),
    );
  });

  test.each(triggerStatuses.filter((status) => status !== "waiting" && status !== "received"))(
    "comes too late when it is %s",
    (status) => {
      const decision = decideSend(latest(status), { ...send, if_no_waiter: "buffer" });

      expect(decision).toEqual(refusal("wait_closed", "late"));
      expect(decision).toMatchObject({ error: { details: { status } } });
    },
  );

  test.each(triggerStatuses.filter((status) => status !== "waiting"))(
    "is kept for the next one when the sender says so, and it is %s",
    (status) => {
      expect(decideSend(latest(status), { ...send, for_next: true })).toEqual({ kind: "buffer" });
    },
  );
});

describe("a rejection", () => {
  const rejection: Rejection = {
    event_key: "aml:user-456",
    reason: "expired",
    details: { document: "passport" },
    generation: null,
    trigger_id: null,
  };
  const rejected = latest("canceled", {
    cancellation: { kind: "rejected", reason: "expired", actor: "apikey:key_1", details: { document: "passport" } },
  });

  test("is delivered to a wait, and kept for none", () => {
    expect(decideReject(latest("waiting"), rejection)).toEqual({ kind: "deliver" });
    expect(decideReject(undefined, rejection)).toEqual(refusal("not_found", null));
  });

  test("is a duplicate of an equal one, and of nothing else", () => {
    expect(decideReject(rejected, rejection)).toEqual({ kind: "duplicate" });
    for (const other of [{ reason: "blurred" }, { details: null }]) {
      expect(decideReject(rejected, { ...rejection, ...other })).toEqual(refusal("wait_closed", "late"));
    }
    expect(decideReject(latest("canceled"), rejection)).toEqual(refusal("wait_closed", "late"));
  });

  test("conflicts with an answer, and is late after a deadline that nobody noticed", () => {
    expect(decideReject(latest("received"), rejection)).toEqual(refusal("already_resolved", "conflict"));
    expect(decideReject(latest("waiting", { overdue: true }), rejection)).toEqual(refusal("wait_closed", "late"));
  });

  test("W4 U4 is late for the wait that it names and that was deleted since, and has nothing to refuse where it names none", () => {
    const deleted = { id: "trg_2", generation: 2 };

    expect(decideReject(undefined, { ...rejection, generation: 2 }, deleted)).toEqual(refusal("wait_closed", null));
    expect(decideReject(undefined, { ...rejection, generation: 1 }, deleted)).toEqual(
      refusal("stale_generation", null),
    );
    expect(decideReject(undefined, rejection, deleted)).toEqual(refusal("not_found", null));
  });

  test("is refused by another wait than it names", () => {
    expect(decideReject(latest("waiting"), { ...rejection, generation: 1 })).toEqual(refusal("stale_generation", null));
  });
});
