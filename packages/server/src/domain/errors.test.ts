import { describe, expect, test } from "vitest";
import {
  alreadyResolved,
  conflict,
  forbidden,
  foreignRunToken,
  idempotencyMismatch,
  illegalMove,
  keyInUse,
  mixedKey,
  notFound,
  payloadMismatch,
  payloadTooLarge,
  runClosed,
  StraitError,
  staleDispatch,
  staleGeneration,
  tokenExpired,
  unauthorized,
  unavailable,
  unsupportedMediaType,
  validationError,
  waitClosed,
} from "./errors.ts";

const waiter = { id: "trg_1", event_key: "kyc:1", job_run_id: "run_1", workflow_run_id: null, broadcast: false };
const trigger = {
  id: "trg_1",
  event_key: "kyc:1",
  status: "timed_out",
  received_at: "2026-01-01T00:00:00Z",
  finished_at: "2026-01-01T00:00:00Z",
};

describe("an error that the caller sees", () => {
  test("has a code, a message and details, and keeps its cause to itself", () => {
    const cause = new Error("connection refused");

    const error = unavailable("the database does not answer; try again", { retryAfterSecs: 5, cause });

    expect(error).toBeInstanceOf(StraitError);
    expect(error).toMatchObject({ name: "StraitError", code: "unavailable", details: { retry_after_secs: 5 }, cause });
  });

  test("has empty details when there is nothing to add", () => {
    expect(new StraitError("conflict", "no").details).toEqual({});
    expect(conflict("job slug is taken").details).toEqual({});
    expect(unavailable("shutting down").details).toEqual({});
    expect(unauthorized()).toMatchObject({ code: "unauthorized", details: {} });
  });

  test.each([
    [
      notFound("job", "job_1"),
      "not_found",
      'there is no job "job_1" in this project; check the id, and whose credentials these are',
    ],
    [
      notFound("project", "acme"),
      "not_found",
      'there is no project "acme"; check the id, and whose credentials these are',
    ],
    [
      illegalMove("run", "run_1", "completed", "timeOut"),
      "illegal_move",
      'run "run_1" is completed, so it cannot time out',
    ],
    [
      alreadyResolved(trigger),
      "already_resolved",
      'event trigger "kyc:1" received another payload at 2026-01-01T00:00:00Z; read it to see which',
    ],
    [
      waitClosed(trigger),
      "wait_closed",
      'event trigger "kyc:1" is timed_out, so the event came too late; send it with for_next to keep it for the next wait on this key',
    ],
    [
      staleGeneration("kyc:1", 1, 2),
      "stale_generation",
      'event trigger "kyc:1" is at generation 2, not 1; send again with the current generation if that wait is meant',
    ],
    [
      staleGeneration("kyc:1", "trg_1", 2),
      "stale_generation",
      'event trigger "kyc:1" is at generation 2, which is not the wait "trg_1"; send again with the current trigger_id if that wait is meant',
    ],
    [
      staleDispatch("run_1", 1, 2),
      "stale_dispatch",
      'dispatch 1 of run "run_1" was replaced by dispatch 2; stop working on it',
    ],
    [runClosed("run_1", "failed"), "run_closed", 'run "run_1" is failed, which is final; trigger a new run instead'],
    [
      keyInUse(waiter),
      "key_in_use",
      'run "run_1" already waits for event key "kyc:1"; cancel that wait, join or replace it with on_conflict, or add something unique, such as the run id, to the key',
    ],
    [
      keyInUse({ ...waiter, job_run_id: null, workflow_run_id: "wfr_1" }),
      "key_in_use",
      'workflow run "wfr_1" already waits for event key "kyc:1"; cancel that wait, join or replace it with on_conflict, or add something unique, such as the run id, to the key',
    ],
    [
      mixedKey(waiter),
      "key_in_use",
      'run "run_1" waits for event key "kyc:1" without broadcast; every wait on a key has to say the same',
    ],
    [
      mixedKey({ ...waiter, broadcast: true }),
      "key_in_use",
      'run "run_1" waits for event key "kyc:1" with broadcast; every wait on a key has to say the same',
    ],
    [
      payloadTooLarge("body", 1_048_576),
      "payload_too_large",
      "the body is larger than 1048576 bytes; store it elsewhere and send a reference",
    ],
    [unsupportedMediaType(undefined), "unsupported_media_type", "the content type is missing; send application/json"],
    [
      unsupportedMediaType("text/csv"),
      "unsupported_media_type",
      'the content type is "text/csv"; send application/json',
    ],
    [
      tokenExpired("2026-01-01T00:00:00Z"),
      "token_expired",
      "the token expired at 2026-01-01T00:00:00Z; use the token of the latest dispatch, or ask for a new one",
    ],
    [foreignRunToken(), "forbidden", "the run token is for another run; use the token of this run's dispatch"],
    [forbidden("jobs:write"), "forbidden", 'the API key lacks the scope "jobs:write"; use a key that has it'],
    [
      idempotencyMismatch("order-7"),
      "idempotency_mismatch",
      'idempotency key "order-7" was used with another request; use a new key for a new one',
    ],
  ])("says what is wrong and what to do: %s", (error, code, message) => {
    expect(error).toMatchObject({ code, message });
  });

  test("gives the current number, so that the caller can catch up", () => {
    expect(staleGeneration("kyc:1", 1, 2).details).toEqual({ event_key: "kyc:1", generation: 2, given: 1 });
    expect(staleDispatch("run_1", 1, 2).details).toEqual({ run_id: "run_1", dispatch_seq: 2, given: 1 });
  });

  test("tells who sent the winning event only when that may be known", () => {
    expect(alreadyResolved(trigger).details).toMatchObject({ sent_by: null });
    expect(alreadyResolved({ ...trigger, sent_by: "key_1" }).details).toMatchObject({ sent_by: "key_1" });
  });
});

describe("an error about a request", () => {
  const issue = { field: "/steps/0/type", rule: "enum", fix: "use job" };

  test("names its only issue", () => {
    expect(validationError([issue])).toMatchObject({
      code: "validation_error",
      message: "/steps/0/type breaks the rule enum: use job",
      details: { issues: [issue] },
    });
  });

  test("names the first of several issues and counts the others", () => {
    expect(validationError([{ ...issue, field: "" }, issue, issue]).message).toBe(
      "the body breaks the rule enum: use job (and 2 more)",
    );
  });

  test("does not repeat a name of any length", () => {
    const { message, details } = validationError([{ ...issue, field: `/${"x".repeat(1_000_000)}` }]);

    expect(message.length).toBeLessThan(2_100);
    expect(JSON.stringify(details).length).toBeLessThan(2_100);
  });

  test("says that the payload's own schema is broken", () => {
    expect(payloadMismatch([issue])).toMatchObject({
      code: "payload_mismatch",
      message: "the payload does not fit its schema: /steps/0/type breaks the rule enum: use job",
    });
  });
});
