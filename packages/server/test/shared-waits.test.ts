import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const refusal = (status: number, code: string) => ({ status, body: { error: { code } } });

const eventsOf = (strait: TestServer) =>
  strait.db.query(sql`SELECT trigger_id, generation, disposition FROM sends ORDER BY id`);

const statusesOf = async (strait: TestServer, key = "k") =>
  (
    await strait.db.query<{ status: string }>(
      sql`SELECT status FROM event_triggers WHERE event_key = ${key} ORDER BY id`,
    )
  ).map(({ status }) => status);

const slotsOf = async (strait: TestServer) =>
  (await strait.db.query<{ slot: string }>(sql`SELECT slot FROM event_triggers ORDER BY id`)).map(({ slot }) => slot);

const byTrigger = (strait: TestServer, method: string, key: string, id: string) =>
  strait.request(method, `/v1/events/${key}?trigger_id=${id}`);

describe("on_conflict: fail", () => {
  test("U2 is the default, and tells who waits, with which trigger", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k");
    const second = await stage.run();

    for (const options of [{}, { on_conflict: "fail" }]) {
      const refused = await second.wait("k", options);
      expect(refused).toMatchObject(refusal(409, "key_in_use"));
      expect(refused.body.error.details).toMatchObject({ run_id: first.id, trigger_id: first.trigger.id });
    }

    expect(await statusesOf(strait)).toEqual(["waiting"]);
    expect((await second.read()).status).toBe("executing");
  });
});

describe("on_conflict: replace", () => {
  test("U2 ends the other wait as superseded and cancels its run, which both tell by whom", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const old = await stage.parked("k");

    const replacing = await stage.parked("k", { on_conflict: "replace" });

    expect(replacing.trigger).toMatchObject({ status: "waiting", generation: 2 });
    const { body } = await byTrigger(strait, "GET", "k", old.trigger.id);
    const error = `event trigger superseded by the wait ${replacing.trigger.id} of run ${replacing.id}`;
    expect(body).toMatchObject({
      status: "superseded",
      error,
      cancellation: { kind: "superseded", reason: error, actor: `run:${replacing.id}` },
    });
    await old.is("canceled");
    expect((await old.read()).error).toBe(error);
    expect(await send(strait, "k", 1)).toMatchObject({ status: 200, body: { id: replacing.trigger.id } });
    await replacing.dispatch(2);
  });

  test("U2 dispatches the other run again when that is to resume, with the cancellation as its checkpoint", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const old = await stage.parked("k", { on_cancel: "resume" });

    await stage.parked("k", { on_conflict: "replace" });

    const { headers } = await old.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("canceled");
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toMatchObject({ kind: "superseded" });
  });

  test("U4 an answer that was meant for the replaced wait is 409 stale_generation", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const old = await stage.parked("k");
    await stage.parked("k", { on_conflict: "replace" });

    for (const meant of [{ generation: 1 }, { trigger_id: old.trigger.id }]) {
      expect(await send(strait, "k", 1, meant)).toMatchObject(refusal(409, "stale_generation"));
    }

    expect((await eventOf(strait, "k")).body.status).toBe("waiting");
  });

  test("U2 replaces every wait that has joined, and opens as usual where nobody waits", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k", { on_conflict: "replace" });
    await stage.parked("k", { on_conflict: "join" });

    await stage.parked("k", { on_conflict: "replace" });

    expect(await statusesOf(strait)).toEqual(["superseded", "superseded", "waiting"]);
  });
});

describe("on_conflict: join", () => {
  test("U2 waits beside the other, and both read one answer", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k");
    const second = await stage.parked("k", { on_conflict: "join" });
    expect(second.trigger).toMatchObject({ generation: 1, broadcast: false });

    const sent = await send(strait, "k", { approved: true });

    expect(sent).toMatchObject({ status: 200, body: { id: second.trigger.id, disposition: "delivered" } });
    for (const run of [first, second]) {
      const { headers } = await run.dispatch(2);
      expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual({ approved: true });
      const { body } = await byTrigger(strait, "GET", "k", run.trigger.id);
      expect(body).toMatchObject({ status: "received", sent_by: sent.body.sent_by });
    }
    expect(await eventsOf(strait)).toEqual([
      { trigger_id: second.trigger.id, generation: 1, disposition: "delivered" },
    ]);
  });

  test("U4 an answer may name either of them, or their generation; a second click on any of them is a duplicate", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k");
    const second = await stage.parked("k", { on_conflict: "join" });

    const sent = await send(strait, "k", 1, { trigger_id: first.trigger.id, generation: 1 });

    expect(sent.body).toMatchObject({ id: first.trigger.id, disposition: "delivered" });
    expect(await statusesOf(strait)).toEqual(["received", "received"]);
    for (const { trigger } of [first, second]) {
      const again = await send(strait, "k", 1, { trigger_id: trigger.id });
      expect(again).toMatchObject({ status: 200, body: { id: trigger.id, disposition: "duplicate" } });
      const other = await send(strait, "k", 2, { trigger_id: trigger.id });
      expect(other).toMatchObject(refusal(409, "already_resolved"));
    }
  });

  test("U2 opens as usual where nobody waits, and then has the key to itself: the way of a send stays one statement", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "k", "early");
    const run = await stage.run();
    expect((await run.wait("k", { on_conflict: "join" })).body).toMatchObject({ status: "received" });

    await stage.parked("k", { on_conflict: "join" });

    expect(await slotsOf(strait)).toEqual(["", ""]);
    expect(await send(strait, "k", 1)).toMatchObject({ status: 200, body: { generation: 2 } });
  });

  test("R4 keeps a deadline of its own, which ends it alone", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const short = await stage.parked("k", { timeout_secs: 60 });
    const long = await stage.parked("k", { on_conflict: "join", timeout_secs: 600 });

    await strait.advance(60_000);

    await short.is("timed_out");
    expect((await eventOf(strait, "k")).body).toMatchObject({ id: long.trigger.id, status: "waiting" });
    expect(await send(strait, "k", 1)).toMatchObject({ status: 200, body: { id: long.trigger.id } });
    await long.dispatch(2);
  });

  test("R2 an answer after the deadline of one of them reaches the other, with the sweeper stopped", async () => {
    const strait = await startServer({ runsEngine: false });
    const steps = ["a", "b"].map((ref, n) => ({
      step_ref: ref,
      type: "wait_for_event",
      event_key: "k",
      on_conflict: "join",
      timeout_secs: 60 + n * 600,
    }));
    const stage = await startWorkflowStage(strait, steps);
    const run = await stage.trigger();
    await strait.tick("wake-owners");
    await run.step("b", "waiting");
    await advanceClock(strait.db, 60_000);

    const sent = await send(strait, "k", 1);

    expect(sent.status).toBe(200);
    expect(await statusesOf(strait)).toEqual(["timed_out", "received"]);
    expect(await send(strait, "k", 1)).toMatchObject({ status: 200, body: { disposition: "duplicate" } });
  });

  test("R6 the end of one run ends its wait, and the key is open until the last has ended", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k");
    const second = await stage.parked("k", { on_conflict: "join" });
    await strait.request("DELETE", `/v1/runs/${second.id}`);

    const third = await stage.run();
    expect(await third.wait("k")).toMatchObject(refusal(409, "key_in_use"));
    expect((await eventOf(strait, "k")).body).toMatchObject({ id: first.trigger.id, status: "waiting" });
    expect(await send(strait, "k", 1)).toMatchObject({ status: 200, body: { id: first.trigger.id } });

    expect(await send(strait, "k", 1)).toMatchObject({ status: 200, body: { disposition: "duplicate" } });
    expect((await third.wait("k")).body).toMatchObject({ status: "waiting", generation: 2 });
  });
});

describe("a broadcast", () => {
  test("U3 answers all that wait when it commits, and nobody who comes later", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const early = [];
    for (let n = 0; n < 5; n++) early.push(await stage.parked("go", { broadcast: true }));
    expect(early.map(({ trigger }) => trigger.generation)).toEqual([1, 1, 1, 1, 1]);

    const sent = await send(strait, "go", "now");
    const late = await stage.parked("go", { broadcast: true });

    expect(sent.body).toMatchObject({ disposition: "delivered", broadcast: true });
    for (const run of early) expect((await run.dispatch(2)).headers["x-last-checkpoint"]).toBe('"now"');
    expect(late.trigger).toMatchObject({ status: "waiting", generation: 2 });
    expect((await late.read()).status).toBe("waiting");
    expect(await eventsOf(strait)).toHaveLength(1);
  });

  test("U3 shares its key with broadcast waits only: mixing is 409, whoever was first", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const shared = await stage.parked("shared", { broadcast: true });
    await stage.parked("alone");
    const other = await stage.run();

    for (const on_conflict of ["fail", "replace", "join"]) {
      const refused = await other.wait("shared", { on_conflict });
      expect(refused).toMatchObject(refusal(409, "key_in_use"));
      expect(refused.body.error.details.run_id).toBe(shared.id);
    }
    expect(await other.wait("alone", { broadcast: true })).toMatchObject(refusal(409, "key_in_use"));
    const both = await other.wait("new", { broadcast: true, on_conflict: "join" });
    expect(both.body.error.details.issues).toMatchObject([{ field: "/on_conflict", rule: "notWithBroadcast" }]);
  });

  test("U3 B5 goes to steps too, and starts from the step of another workflow", async () => {
    const strait = await startServer();
    const gate = { type: "wait_for_event", event_key: "go", broadcast: true };
    const waiting = await startWorkflowStage(strait, [
      { step_ref: "a", ...gate },
      { step_ref: "b", ...gate },
    ]);
    const run = await waiting.trigger();
    await run.step("b", "waiting");
    const emitting = await startWorkflowStage(
      strait,
      [{ step_ref: "say", type: "sleep", sleep_duration: "1s", event_emit_key: "go" }],
      { slug: "emitting" },
    );

    await emitting.trigger();
    await strait.advance(1_000);

    const steps = await run.step("b", "completed");
    expect(steps.a).toMatchObject({ status: "completed", output: steps.b?.output });
    await run.is("completed");
  });

  test("U3 that breaks the schema of one of them is refused by all", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k", { broadcast: true, payload_schema: { type: "object" } });
    await stage.parked("k", { broadcast: true });

    expect(await send(strait, "k", 1)).toMatchObject(refusal(422, "payload_mismatch"));
    expect(await statusesOf(strait)).toEqual(["waiting", "waiting"]);
    expect(await send(strait, "k", {})).toMatchObject({ status: 200 });
  });

  test("U3 S1 goes to those whose filter is true of it, and leaves the others waiting; a second click is a duplicate", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k", { broadcast: true, filter: "payload.team == 'a'" });
    await stage.parked("k", { broadcast: true, filter: "payload.team == 'b'" });
    await stage.parked("k", { broadcast: true });

    const first = await send(strait, "k", { team: "a" });
    const again = await send(strait, "k", { team: "a" });
    const second = await send(strait, "k", { team: "b" });

    expect([first.status, second.status]).toEqual([200, 200]);
    expect(again).toMatchObject({ status: 200, body: { disposition: "duplicate" } });
    expect(await strait.db.query(sql`SELECT response_payload FROM event_triggers ORDER BY id`)).toEqual(
      ["a", "b", "a"].map((team) => ({ response_payload: JSON.stringify({ team }) })),
    );
  });

  test("U3 P2 by prefix answers all of a key, which counts once", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (let n = 0; n < 3; n++) await stage.parked("all:shared", { broadcast: true });
    await stage.parked("all:alone");
    const byPrefix = (body: object) => strait.request("POST", "/v1/events/prefix/all:/send", { body });

    const look = await byPrefix({ dry_run: true });
    expect(look.body).toMatchObject({ count: 2, keys: ["all:shared", "all:alone"] });
    const { count, digest } = look.body;
    const sent = await byPrefix({ payload: 1, mode: "atomic", expect: { count, digest } });

    expect(sent.body).toMatchObject({ resolved: 2, skipped: [] });
    expect(await statusesOf(strait, "all:shared")).toEqual(["received", "received", "received"]);
    expect(await strait.db.query(sql`SELECT FROM event_triggers WHERE status = 'waiting'`)).toEqual([]);
  });

  test("W1 U3 by prefix is recorded with its Idempotency-Key, as by itself", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (let n = 0; n < 2; n++) await stage.parked("all:shared", { broadcast: true });
    await stage.parked("all:alone");

    await strait.request("POST", "/v1/events/prefix/all:/send", {
      body: { payload: 1 },
      headers: { "idempotency-key": "click-1" },
    });

    const sent = await strait.db.query(sql`SELECT event_key, channel, idempotency_key FROM sends ORDER BY event_key`);
    expect(sent).toEqual(
      ["all:alone", "all:shared"].map((event_key) => ({ event_key, channel: "batch", idempotency_key: "click-1" })),
    );
  });

  test("U3 S2 of a thousand waits is one event, with one stored answer", async () => {
    const strait = await startServer({ runsEngine: false });
    const steps = Array.from({ length: 500 }, (_, n) => ({
      step_ref: `s${n}`,
      type: "wait_for_event",
      event_key: "go",
      broadcast: true,
    }));
    const stage = await startWorkflowStage(strait, steps);
    for (let n = 0; n < 2; n++) await stage.trigger();
    await eventually(async () => {
      await strait.tick("wake-owners");
      return (await statusesOf(strait, "go")).length === 1_000;
    });
    const headers = { "idempotency-key": "once" };

    const first = await send(strait, "go", 1, {}, headers);
    const again = await send(strait, "go", 1, {}, headers);

    expect(again.body).toEqual(first.body);
    expect(new Set(await statusesOf(strait, "go"))).toEqual(new Set(["received"]));
    expect(await eventsOf(strait)).toHaveLength(1);
  });
});

describe("waits that share a key", () => {
  test("R5 are canceled together, or the one that is named", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const runs = [];
    for (let n = 0; n < 3; n++) runs.push(await stage.parked("k", { broadcast: true }));
    const [first, ...rest] = runs;

    const one = await byTrigger(strait, "DELETE", "k", first?.trigger.id ?? "");
    expect(one).toMatchObject({ status: 200, body: { id: first?.trigger.id, status: "canceled" } });
    expect(await statusesOf(strait)).toEqual(["canceled", "waiting", "waiting"]);
    expect(await byTrigger(strait, "DELETE", "k", first?.trigger.id ?? "")).toMatchObject(refusal(409, "wait_closed"));

    const all = await strait.request("DELETE", "/v1/events/k");
    expect(all).toMatchObject({ status: 200, body: { id: rest[1]?.trigger.id, status: "canceled" } });
    expect(await statusesOf(strait)).toEqual(["canceled", "canceled", "canceled"]);
    for (const run of runs) await run.is("canceled");
  });

  test("S5 are rejected together", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const runs = [await stage.parked("k"), await stage.parked("k", { on_conflict: "join" })];

    const rejected = await strait.request("POST", "/v1/events/k/reject", { body: { reason: "no" } });
    const again = await strait.request("POST", "/v1/events/k/reject", {
      body: { reason: "no", trigger_id: runs[0]?.trigger.id },
    });

    expect([rejected.body.disposition, again.body.disposition]).toEqual(["delivered", "duplicate"]);
    for (const run of runs) await run.is("failed");
    expect(await eventsOf(strait)).toHaveLength(2);
  });

  test("R4 have a deadline each: extending asks which", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k", { broadcast: true });
    await stage.parked("k", { broadcast: true });
    const extend = (body: object) =>
      strait.request("POST", "/v1/events/k/extend", { body: { timeout_secs: 9_999, ...body } });

    expect(await extend({})).toMatchObject(refusal(409, "conflict"));
    expect(await extend({ trigger_id: first.trigger.id })).toMatchObject({ status: 200, body: { version: 2 } });
    expect(await strait.db.query(sql`SELECT version FROM event_triggers ORDER BY id`)).toEqual([
      { version: 2 },
      { version: 1 },
    ]);
  });

  test("are read one by one by trigger_id, of the key that it belongs to", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k", { broadcast: true });
    const second = await stage.parked("k", { broadcast: true });

    expect((await eventOf(strait, "k")).body.id).toBe(second.trigger.id);
    expect((await byTrigger(strait, "GET", "k", first.trigger.id)).body.id).toBe(first.trigger.id);
    expect(await byTrigger(strait, "GET", "other", first.trigger.id)).toMatchObject(refusal(404, "not_found"));
    await send(strait, "k", 1);
    const stream = await strait.fetch("GET", `/v1/events/k/stream?trigger_id=${first.trigger.id}`);
    expect(await stream.text()).toContain(`"id":"${first.trigger.id}"`);
  });
});
