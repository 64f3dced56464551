import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { historyOf } from "./given.ts";
import { type Answer, type Dispatch, eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, hold, send, startStage, waitForEvent } from "./stage.ts";

const checkpointOf = ({ headers }: Dispatch) => JSON.parse(String(headers["x-last-checkpoint"]));
const runOf = ({ runId: id, runToken: token }: Dispatch) => ({ id, token });
const summary = ({ status, body }: Answer) => `${status} ${body.disposition ?? body.error?.code ?? body.status}`;

/** `wait-for-events`, as the run's code would call it. */
function waitForEvents(
  strait: TestServer,
  run: { readonly id: string; readonly token: string },
  mode: string,
  keys: readonly (string | object)[],
  options: object = {},
): Promise<Answer> {
  const waits = keys.map((key) => (typeof key === "string" ? { event_key: key } : key));
  return strait.request("POST", `/sdk/v1/runs/${run.id}/wait-for-events`, {
    token: run.token,
    body: { mode, waits, ...options },
  });
}

async function statusesOf(strait: TestServer, keys: readonly string[]): Promise<string[]> {
  return Promise.all(keys.map(async (key) => (await eventOf(strait, key)).body.status));
}

async function startGroup(mode: string, keys: readonly string[], options: object = {}) {
  const strait = await startServer();
  const stage = await startStage(strait);
  const run = await stage.run();
  const group = await waitForEvents(strait, run, mode, keys, options);
  expect(group).toMatchObject({ status: 200, body: { status: "waiting", result: null } });
  return { strait, stage, run, group: group.body };
}

describe("a run that waits for any of several events", () => {
  test("R8 X1 goes on once with the first, as a tagged union, and the losers are closed with it", async () => {
    const { strait, stage, run, group } = await startGroup("any", ["approve", "reject", "skip"]);

    const sent = await send(strait, "reject", { why: "blurred" });

    expect(summary(sent)).toBe("200 delivered");
    const second = await run.dispatch(2);
    expect(second.headers["x-resume-reason"]).toBe("event");
    const ids = group.waits.map(({ id }: { id: string }) => id);
    const reason = "enough other waits of its group were answered";
    const cancellation = { kind: "canceled", reason, actor: sent.body.sent_by, details: null };
    expect(checkpointOf(second)).toEqual({
      mode: "any",
      count: 1,
      winner: "reject",
      results: [
        { event_key: "approve", trigger_id: ids[0], status: "canceled", payload: null, cancellation },
        {
          event_key: "reject",
          trigger_id: ids[1],
          status: "received",
          payload: { why: "blurred" },
          cancellation: null,
        },
        { event_key: "skip", trigger_id: ids[2], status: "canceled", payload: null, cancellation },
      ],
    });
    expect(await historyOf(strait, run.id)).toEqual(["executing", "waiting", "executing"]);
    expect(await historyOf(strait, group.trigger_id)).toEqual(["waiting", "received"]);
    expect(stage.executor.dispatches).toHaveLength(2);
    expect(await strait.db.query(sql`SELECT FROM run_wakes`)).toEqual([]);
  });

  test("R8 a later event to a loser is late and never consumed, and the key is free for another wait", async () => {
    const { strait, run } = await startGroup("any", ["approve", "reject"]);
    await send(strait, "approve", 1);

    const late = await send(strait, "reject", 2);

    expect(late).toMatchObject({
      status: 409,
      body: { error: { code: "wait_closed", details: { status: "canceled" } } },
    });
    const loser = (await eventOf(strait, "reject")).body;
    expect(loser).toMatchObject({ status: "canceled", response_payload: null });
    expect(loser.error).toContain("enough other waits of its group");
    const second = await run.dispatch(2);
    expect(checkpointOf(second).results[1]).toMatchObject({ status: "canceled", payload: null });
    const again = await waitForEvent(strait, runOf(second), "reject");
    expect(again.body).toMatchObject({ status: "waiting", generation: 2, group_id: null });
    expect(summary(await send(strait, "reject", 3))).toBe("200 delivered");
  });

  test("R8 takes a buffered event at once without parking, and leaves those of the losers where they are", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await send(strait, "second", "early");
    await send(strait, "third", "early too");

    const opened = await waitForEvents(strait, run, "any", ["first", "second", "third"]);

    expect(opened.body).toMatchObject({
      status: "received",
      result: { winner: "second", results: [{ status: "canceled" }, { payload: "early" }, { status: "canceled" }] },
      waits: [{ status: "canceled" }, { status: "received" }, { status: "canceled" }],
    });
    expect(await run.read()).toMatchObject({ status: "executing", checkpoint: opened.body.result });
    const next = await waitForEvent(strait, run, "third");
    expect(next.body).toMatchObject({ status: "received", response_payload: "early too" });
  });

  test("is dispatched again with a result that was there at once, when its code does not look at the answer", async () => {
    const strait = await startServer();
    await send(strait, "a", 1);
    const stage = await startStage(strait, async (dispatch) => {
      if (dispatch.headers["x-dispatch"] !== "1") return { body: checkpointOf(dispatch).winner };
      await waitForEvents(strait, runOf(dispatch), "any", ["a", "b"]);
      return { status: 200 };
    });
    const run = await stage.run();

    await run.is("completed");

    expect((await run.read()).result).toBe("a");
  });
});

describe("a run that waits for all or some of several events", () => {
  test("R8 all: events are recorded until the last one, which delivers", async () => {
    const { strait, run } = await startGroup("all", ["a", "b", "c"]);

    const answers = [await send(strait, "c", 3), await send(strait, "a", 1)];
    const equal = await send(strait, "a", 1);
    const other = await send(strait, "a", 2);
    expect((await run.read()).status).toBe("waiting");
    const last = await send(strait, "b", 2);

    expect([...answers, equal, other, last].map(summary)).toEqual([
      "200 recorded",
      "200 recorded",
      "200 duplicate",
      "409 already_resolved",
      "200 delivered",
    ]);
    const { winner, results } = checkpointOf(await run.dispatch(2));
    expect([winner, results.map(({ payload }: { payload: unknown }) => payload)]).toEqual(["b", [1, 2, 3]]);
    const events = await strait.db.query<{ disposition: string }>(
      sql`SELECT disposition FROM sends WHERE disposition IN ('recorded', 'delivered') ORDER BY id`,
    );
    expect(events.map(({ disposition }) => disposition)).toEqual(["recorded", "recorded", "delivered"]);
  });

  test("R8 at_least 2 of 3: the second crosses the line, and the third is late", async () => {
    const { strait, run } = await startGroup("at_least", ["a", "b", "c"], { count: 2 });

    const answers = [await send(strait, "c", 3), await send(strait, "a", 1), await send(strait, "b", 2)];

    expect(answers.map(summary)).toEqual(["200 recorded", "200 delivered", "409 wait_closed"]);
    const result = checkpointOf(await run.dispatch(2));
    expect(result).toMatchObject({ mode: "at_least", count: 2, winner: "a" });
    expect(result.results.map(({ status }: { status: string }) => status)).toEqual([
      "received",
      "canceled",
      "received",
    ]);
  });

  test("R8 buffered events count, and the rest is waited for", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await send(strait, "b", "early");

    const opened = await waitForEvents(strait, run, "all", ["a", "b"]);
    const last = await send(strait, "a", "late");

    expect(opened.body).toMatchObject({ status: "waiting", waits: [{ status: "waiting" }, { status: "received" }] });
    expect(summary(last)).toBe("200 delivered");
    const { results } = checkpointOf(await run.dispatch(2));
    expect(results.map(({ payload }: { payload: unknown }) => payload)).toEqual(["late", "early"]);
  });

  test("R8 S2 a recorded event that is repeated with its Idempotency-Key gets the same answer", async () => {
    const { strait } = await startGroup("all", ["a", "b"]);
    const keyed = { "idempotency-key": "once" };

    const first = await send(strait, "a", 1, {}, keyed);
    await send(strait, "b", 2);
    const repeated = await send(strait, "a", 1, {}, keyed);

    expect(repeated.body).toEqual(first.body);
    expect([summary(first), repeated.headers.get("idempotency-replayed")]).toEqual(["200 recorded", "true"]);
  });

  test("R8 P3 a send to a prefix answers one wait after the other, until there are enough", async () => {
    const { strait, run } = await startGroup("at_least", ["vote:1", "vote:2", "vote:3"], { count: 2 });

    const { body } = await strait.request("POST", "/v1/events/prefix/vote%3A/send", { body: { payload: "yes" } });

    expect(body.triggers.map(({ disposition }: { disposition: string }) => disposition)).toEqual([
      "recorded",
      "delivered",
    ]);
    expect(body.skipped).toMatchObject([{ event_key: "vote:3", code: "wait_closed" }]);
    expect(body.resolved).toBe(2);
    expect(checkpointOf(await run.dispatch(2)).winner).toBe("vote:2");
  });

  test("R8 an event that breaks the schema of its wait is refused and does not count", async () => {
    const schema = { type: "object", required: ["ok"] };
    const { strait, run } = await startGroup("all", ["a", "b"]).then(async ({ strait, stage }) => {
      const other = await stage.run();
      await waitForEvents(strait, other, "all", [{ event_key: "x", payload_schema: schema }, "y"]);
      return { strait, run: other };
    });

    const answers = [await send(strait, "x", {}), await send(strait, "y", 1), await send(strait, "x", { ok: true })];

    expect(answers.map(summary)).toEqual(["422 payload_mismatch", "200 recorded", "200 delivered"]);
    await run.dispatch(2);
  });
});

describe("the end of a group without enough events", () => {
  test("R8 GR-08 at its deadline: the open waits time out, and the run goes on once with what there is", async () => {
    const { strait, run, group } = await startGroup("all", ["a", "b"], { timeout_secs: 60, on_timeout: "resume" });
    await send(strait, "a", 1);

    await strait.advance(60_000);

    const second = await run.dispatch(2);
    expect(second.headers["x-resume-reason"]).toBe("timeout");
    expect(checkpointOf(second)).toMatchObject({ winner: null, results: [{ payload: 1 }, { status: "timed_out" }] });
    expect(await statusesOf(strait, ["a", "b"])).toEqual(["received", "timed_out"]);
    expect(await historyOf(strait, group.trigger_id)).toEqual(["waiting", "timed_out"]);
    expect(group.waits.every(({ expires_at }: { expires_at: string }) => expires_at === group.expires_at)).toBe(true);
    expect(summary(await send(strait, "b", 2))).toBe("409 wait_closed");
  });

  test("R2 R8 an event after the deadline ends the group itself, although no sweeper has been", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startStage(strait);
    const started = stage.run();
    await eventually(async () => (await strait.db.query(sql`SELECT FROM run_queue`)).length > 0);
    await strait.tick("dispatch-runs");
    const run = await started;
    const { body: group } = await waitForEvents(strait, run, "any", ["a", "b"], {
      timeout_secs: 60,
      on_timeout: "resume",
    });
    await advanceClock(strait.db, 60_000);

    const late = await send(strait, "a", 1);

    expect(summary(late)).toBe("409 wait_closed");
    expect(await historyOf(strait, group.trigger_id)).toEqual(["waiting", "timed_out"]);
    expect(await statusesOf(strait, ["a", "b"])).toEqual(["timed_out", "timed_out"]);
    await strait.tick("dispatch-runs");
    expect((await run.dispatch(2)).headers["x-resume-reason"]).toBe("timeout");
  });

  test("R8 fails the run at its deadline by default", async () => {
    const { strait, run } = await startGroup("any", ["a", "b"], { timeout_secs: 60 });

    await strait.advance(60_000);

    await run.is("timed_out");
  });

  test("R5 R8 canceling a wait ends an `any` group with its last wait only", async () => {
    const { strait, run } = await startGroup("any", ["a", "b"], { on_cancel: "resume" });

    await strait.request("DELETE", "/v1/events/a");
    expect((await run.read()).status).toBe("waiting");
    await strait.request("DELETE", "/v1/events/b?reason=obsolete");

    const second = await run.dispatch(2);
    expect(second.headers["x-resume-reason"]).toBe("canceled");
  });

  test("S5 R8 a rejection makes `all` impossible: the group ends, and its other waits are closed", async () => {
    const { strait, run } = await startGroup("all", ["a", "b", "c"]);

    const rejected = await strait.request("POST", "/v1/events/a/reject", { body: { reason: "no" } });

    expect(rejected.status).toBe(200);
    await run.is("canceled");
    expect(await statusesOf(strait, ["b", "c"])).toEqual(["canceled", "canceled"]);
    expect((await run.read()).error).toMatch(/cannot be enough; the last was rejected: no$/);
  });

  test("S5 R5 R8 who rejected a wait, and why, is in the result of a group that is met all the same", async () => {
    const { strait, run } = await startGroup("any", ["a", "b"]);

    const reject = { reason: "blurred", details: { page: 3 } };
    const rejected = await strait.request("POST", "/v1/events/a/reject", { body: reject });
    await send(strait, "b", 1);

    expect(rejected.body.cancellation).toMatchObject({ kind: "rejected", ...reject });
    expect(checkpointOf(await run.dispatch(2)).results).toMatchObject([
      { status: "canceled", payload: null, cancellation: rejected.body.cancellation },
      { status: "received", payload: 1, cancellation: null },
    ]);
  });

  test("S5 R5 R8 and with the cancellation of one that cannot be met, for a run that goes on", async () => {
    const { strait, run } = await startGroup("all", ["a", "b", "c"], { on_cancel: "resume" });
    await send(strait, "b", 1);

    await strait.request("POST", "/v1/events/a/reject", { body: { reason: "blurred" } });

    const second = await run.dispatch(2);
    expect(second.headers["x-resume-reason"]).toBe("canceled");
    const { kind, reason, details } = checkpointOf(second);
    expect([kind, reason]).toEqual(["canceled", expect.stringMatching(/rejected: blurred$/)]);
    expect(details).toMatchObject({
      mode: "all",
      winner: null,
      results: [
        { event_key: "a", cancellation: { kind: "rejected", reason: "blurred" } },
        { event_key: "b", payload: 1, cancellation: null },
        { event_key: "c", cancellation: { kind: "canceled" } },
      ],
    });
  });

  test("R6 R8 canceling the run cancels the group and its waits", async () => {
    const { strait, run, group } = await startGroup("any", ["a", "b"]);

    await strait.request("DELETE", `/v1/runs/${run.id}`);

    expect(await statusesOf(strait, ["a", "b"])).toEqual(["canceled", "canceled"]);
    expect(await historyOf(strait, group.trigger_id)).toEqual(["waiting", "canceled"]);
    expect((await run.read()).status).toBe("canceled");
  });

  test("R4 its deadline is not changed through one of its waits", async () => {
    const { strait } = await startGroup("any", ["a", "b"]);

    const refused = await strait.request("POST", "/v1/events/a/extend", { body: { timeout_secs: 9 } });

    expect(refused).toMatchObject({ status: 409, body: { error: { code: "conflict" } } });
  });
});

describe("opening a group", () => {
  test("U1 opens nothing when one of its keys is taken", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("b");
    const run = await stage.run();

    const refused = await waitForEvents(strait, run, "any", ["a", "b", "c"]);

    expect(refused).toMatchObject({ status: 409, body: { error: { code: "key_in_use" } } });
    expect((await run.read()).status).toBe("executing");
    expect([(await eventOf(strait, "a")).status, (await eventOf(strait, "c")).status]).toEqual([404, 404]);
  });

  test.each([
    ["any", ["a", "a"], {}, "/waits/1/event_key"],
    ["any", ["a"], { count: 1 }, "/count"],
    ["at_least", ["a", "b"], {}, "/count"],
    ["at_least", ["a", "b"], { count: 3 }, "/count"],
    ["some", ["a"], {}, "/mode"],
    ["all", [], {}, "/waits"],
    ["all", [".."], {}, "/waits/0/event_key"],
    ["all", ["a"], { timeout_secs: 1, deadline: "2030-01-01T00:00:00Z" }, "/deadline"],
  ])("is refused for %s of %j with %j, naming the field", async (mode, keys, options, field) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();

    const refused = await waitForEvents(strait, run, mode, keys, options);

    expect(refused.status).toBe(400);
    expect(refused.body.error.details.issues[0]).toMatchObject({ field });
    expect((await run.read()).status).toBe("executing");
  });

  test("K2 R7 a send does not wait for whoever holds the run: a wake row stands for the resume", async () => {
    const { strait, run } = await startGroup("any", ["a", "b"]);
    const lock = await hold(strait, sql`SELECT FROM runs WHERE id = ${run.id} FOR NO KEY UPDATE`);

    const sent = await send(strait, "a", 1);

    expect(summary(sent)).toBe("200 delivered");
    await lock.release();
    expect(checkpointOf(await run.dispatch(2))).toMatchObject({ winner: "a" });
  });

  test("U3 a wait that joins one of its keys takes the same event", async () => {
    const { strait, stage, run } = await startGroup("any", ["a", "b"]);
    const other = await stage.run();
    await other.wait("a", { on_conflict: "join" });

    const sent = await send(strait, "a", "both");

    expect(summary(sent)).toBe("200 delivered");
    expect(checkpointOf(await other.dispatch(2))).toBe("both");
    expect(checkpointOf(await run.dispatch(2))).toMatchObject({ winner: "a" });
  });
});
