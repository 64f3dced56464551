import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { type Answer, eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { eventOf, hold, type Stage, send, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";

const WEEK_SECS = 604_800;

const eventsOf = (strait: TestServer) =>
  strait.db.query<{ disposition: string; payload: string }>(sql`SELECT disposition, payload FROM sends ORDER BY id`);

const dispositions = async (strait: TestServer) => (await eventsOf(strait)).map(({ disposition }) => disposition);

const refusal = (status: number, code: string) => ({ status, body: { error: { code } } });

describe("a send", () => {
  test("section 4: to a wait is 200 delivered, with the whole trigger and who sent it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("aml:user-456", { tags: { team: "risk" }, request_payload: { user: "user-456" } });

    const sent = await send(strait, "aml:user-456", { result: "clear", risk_score: 0.05 });

    expect(sent).toMatchObject({
      status: 200,
      body: {
        id: run.trigger.id,
        disposition: "delivered",
        status: "received",
        job_run_id: run.id,
        response_payload: { result: "clear", risk_score: 0.05 },
        request_payload: { user: "user-456" },
        tags: { team: "risk" },
        sent_by: expect.stringMatching(/^apikey:key_/),
      },
    });
    expect(sent.body.received_at).toBe(sent.body.finished_at);
    const { disposition: _, ...trigger } = sent.body;
    expect((await eventOf(strait, "aml:user-456")).body).toEqual(trigger);
  });

  test("R1 settles trigger, run, event and the change of both in one transaction", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");

    await send(strait, "k", 1);

    const rows = await strait.db.query(sql`
      SELECT c.subject_id, c.ended_trigger_id, c.before, c.after, c.actor, c.xid::text::bigint = e.xmin::text::bigint AS is_same
      FROM changes c CROSS JOIN event_triggers e WHERE c.before = 'waiting' AND e.event_id IS NOT NULL`);
    expect(rows).toEqual([
      {
        subject_id: run.id,
        ended_trigger_id: run.trigger.id,
        before: "waiting",
        after: "executing",
        actor: expect.any(String),
        is_same: true,
      },
    ]);
  });

  test("B1 section 4: to a key without a wait, ever, is 202 buffered, with its expiry in a week", async () => {
    const strait = await startServer();

    const sent = await send(strait, "later", { n: 1 });

    expect(sent).toMatchObject({
      status: 202,
      body: { status: "buffered", disposition: "buffered", event_key: "later", id: expect.stringMatching(/^evt_/) },
    });
    const [event] = await strait.db.query<{ secs: number }>(sql`
      SELECT extract(epoch FROM expires_at - created_at)::int AS secs FROM sends WHERE id = ${sent.body.id}`);
    expect(event?.secs).toBe(WEEK_SECS);
    expect(await eventOf(strait, "later")).toMatchObject(refusal(404, "not_found"));
  });

  test("B1 is 404 and leaves nothing when it is to fail without a waiter", async () => {
    const strait = await startServer();

    const sent = await send(strait, "later", 1, { if_no_waiter: "fail" });

    expect(sent).toMatchObject(refusal(404, "not_found"));
    expect(await eventsOf(strait)).toEqual([]);
  });

  test("B1 keeps the lifetime that it names", async () => {
    const strait = await startServer();

    const { body } = await send(strait, "later", 1, { ttl_secs: 60 });

    const [event] = await strait.db.query<{ secs: number }>(sql`
      SELECT extract(epoch FROM expires_at - created_at)::int AS secs FROM sends WHERE id = ${body.id}`);
    expect(event?.secs).toBe(60);
  });

  test("section 4: is 403 for a key without events:write, which names the scope, and changes nothing", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const reader = await strait.request("POST", "/v1/api-keys", { body: { name: "Reader", scopes: ["events:read"] } });

    const sent = await strait.request("POST", "/v1/events/k/send", { token: reader.body.key, body: { payload: 1 } });

    expect(sent).toMatchObject(refusal(403, "forbidden"));
    expect(sent.body.error.details).toEqual({ scope: "events:write" });
    expect((await eventOf(strait, "k")).body.status).toBe("waiting");
    expect(await eventsOf(strait)).toEqual([]);
  });

  test.each([
    ["text", "clear"],
    ["number", 0.05],
    ["null", null],
    ["false", false],
    ["array", [1, { a: [] }]],
    ["object with odd members", { __proto__x: 1, "": "", "a.b": "{{payload.x}}", é: '\u2028 \\ "' }],
  ])("carries a payload that is %s unchanged", async (_, payload) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");

    await send(strait, "k", payload);

    expect((await eventOf(strait, "k")).body.response_payload).toEqual(payload);
    expect(JSON.parse(String((await run.dispatch(2)).headers["x-last-checkpoint"]))).toEqual(payload);
  });
});

describe("a send to a key whose wait has ended", () => {
  const ends = {
    received: (strait: TestServer) => send(strait, "k", { a: 1, b: [1, 2] }),
    timed_out: (strait: TestServer) => strait.advance(3_600_000),
    canceled: (strait: TestServer) => strait.request("DELETE", "/v1/events/k"),
  };

  async function afterEnd(end: keyof typeof ends): Promise<{ strait: TestServer; stage: Stage }> {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    await ends[end](strait);
    return { strait, stage };
  }

  test("S1 section 4: with an equal payload is 200 duplicate, whatever the order of its members", async () => {
    const { strait } = await afterEnd("received");

    const sent = await send(strait, "k", { b: [1.0, 2], a: 1 });

    expect(sent).toMatchObject({ status: 200, body: { status: "received", disposition: "duplicate" } });
    expect(await dispositions(strait)).toEqual(["delivered", "duplicate"]);
  });

  test("S1 section 4: with another payload is 409 already_resolved, with when and by whom", async () => {
    const { strait } = await afterEnd("received");
    const { received_at, sent_by } = (await eventOf(strait, "k")).body;

    const sent = await send(strait, "k", { a: 1, b: [2, 1] });

    expect(sent).toMatchObject(refusal(409, "already_resolved"));
    expect(sent.body.error.details).toMatchObject({ status: "received", received_at, sent_by });
    expect(await dispositions(strait)).toEqual(["delivered", "conflict"]);
    expect((await eventOf(strait, "k")).body.response_payload).toEqual({ a: 1, b: [1, 2] });
  });

  test.each(["timed_out", "canceled"] as const)("B3 section 4: as %s is 409 wait_closed, and recorded", async (end) => {
    const { strait } = await afterEnd(end);

    const sent = await send(strait, "k", "too late");

    expect(sent).toMatchObject(refusal(409, "wait_closed"));
    expect(sent.body.error.details).toMatchObject({ event_key: "k", status: end });
    expect(await eventsOf(strait)).toEqual([{ disposition: "late", payload: '"too late"' }]);
  });

  test.each(["received", "timed_out", "canceled"] as const)("B3 as %s is not kept for the next wait", async (end) => {
    const { strait, stage } = await afterEnd(end);
    await send(strait, "k", "second click on the old button");

    const next = await stage.parked("k");

    expect(next.trigger).toMatchObject({ status: "waiting", generation: 2 });
  });

  test.each(["received", "timed_out", "canceled"] as const)("B3 as %s is kept with for_next", async (end) => {
    const { strait, stage } = await afterEnd(end);

    const sent = await send(strait, "k", "for the next one", { for_next: true });

    expect(sent).toMatchObject({ status: 202, body: { disposition: "buffered" } });
    const next = await (await stage.run()).wait("k");
    expect(next.body).toMatchObject({ status: "received", generation: 2, response_payload: "for the next one" });
  });

  test("R2 at its deadline times it out itself and is 409, although no sweeper has been", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startStage(strait);
    const starting = stage.parked("k", { timeout_secs: 60 });
    await eventually(async () => (await strait.db.query(sql`SELECT FROM run_queue`)).length > 0);
    await strait.tick("dispatch-runs");
    const run = await starting;
    await advanceClock(strait.db, 60_000);

    const sent = await send(strait, "k", 1);

    expect(sent).toMatchObject(refusal(409, "wait_closed"));
    expect(sent.body.error.details.status).toBe("timed_out");
    expect((await eventOf(strait, "k")).body.status).toBe("timed_out");
    await strait.tick("wake-owners");
    expect((await run.read()).status).toBe("timed_out");
  });
});

describe("a send that names its wait", () => {
  test("U4 section 4: is 409 stale_generation for another one, with the current one, and leaves nothing", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("revision");
    await send(strait, "revision", "approved");
    const second = await stage.parked("revision");

    const stale = await send(strait, "revision", "approved", { generation: 1 });
    const old = await send(strait, "revision", "approved", { trigger_id: first.trigger.id });
    const future = await send(strait, "revision", "approved", { generation: 3 });

    for (const sent of [stale, old, future]) {
      expect(sent).toMatchObject(refusal(409, "stale_generation"));
      expect(sent.body.error.details.generation).toBe(2);
    }
    expect(await dispositions(strait)).toEqual(["delivered"]);
    const named = await send(strait, "revision", "ok", { generation: 2, trigger_id: second.trigger.id });
    expect(named.body.disposition).toBe("delivered");
  });

  test("U4 is stale for a key that nobody has waited on", async () => {
    const strait = await startServer();

    const sent = await send(strait, "nobody", 1, { generation: 1 });

    expect(sent).toMatchObject(refusal(409, "stale_generation"));
    expect(sent.body.error.details.generation).toBe(0);
  });
});

describe("a send with an Idempotency-Key", () => {
  const key = { "idempotency-key": "k-1" };

  test("S2 section 4: repeats the stored status and body of a delivery, even after the key is waited on again", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const first = await send(strait, "k", 1, {}, key);
    const next = await stage.parked("k");

    const second = await send(strait, "k", 1, {}, key);

    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(second).toMatchObject({ status: 200, body: first.body });
    expect((await eventOf(strait, "k")).body).toMatchObject({ id: next.trigger.id, status: "waiting" });
    expect(await dispositions(strait)).toEqual(["delivered"]);
  });

  test("S2 repeats the answer of a buffered event, and stores one", async () => {
    const strait = await startServer();

    const [first, second] = [await send(strait, "k", 1, {}, key), await send(strait, "k", 1, {}, key)];

    expect(second).toMatchObject({ status: 202, body: first.body });
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(await dispositions(strait)).toEqual(["buffered"]);
  });

  test("S2 section 4: with another body is 422 idempotency_mismatch, and has no effect", async () => {
    const strait = await startServer();
    await send(strait, "k", 1, {}, key);

    const other = await send(strait, "k", 2, {}, key);

    expect(other).toMatchObject(refusal(422, "idempotency_mismatch"));
    expect(await dispositions(strait)).toEqual(["buffered"]);
  });

  test("S2 is scoped to its target: the same key for another event key is another request", async () => {
    const strait = await startServer();

    const answers = [await send(strait, "a", 1, {}, key), await send(strait, "b", 2, {}, key)];

    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(await dispositions(strait)).toEqual(["buffered", "buffered"]);
  });

  test("S2 does not keep a refusal: the same request may do better later", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    await strait.request("DELETE", "/v1/events/k");
    expect((await send(strait, "k", 1, {}, key)).status).toBe(409);
    await stage.parked("k");

    expect((await send(strait, "k", 1, {}, key)).body.disposition).toBe("delivered");
  });

  test("S2 many times at once has one effect, and one answer for all", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");

    const answers = await Promise.all(Array.from({ length: 12 }, () => send(strait, "k", 1, {}, key)));

    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body])))).toHaveProperty("size", 1);
    expect(answers.filter(({ headers }) => headers.get("idempotency-replayed") === null)).toHaveLength(1);
    expect(await dispositions(strait)).toEqual(["delivered"]);
  });
});

/** Sends that arrive together are one batch of the lane. */
describe("sends in one batch", () => {
  const summary = ({ status, body }: Answer) => [status, body.disposition ?? body.error.code];

  test("K4 L2 answer each for itself: hits, misses, late ones and refused ones", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const key of ["waiting-1", "waiting-2", "canceled", "received"]) await stage.parked(key);
    await strait.request("DELETE", "/v1/events/canceled");
    await send(strait, "received", "same");

    const answers = await Promise.all([
      send(strait, "waiting-2", 1),
      send(strait, "nobody", 1),
      send(strait, "canceled", 1),
      send(strait, "waiting-1", 1),
      send(strait, "received", "same"),
      send(strait, "received", "other"),
      send(strait, "nobody-strict", 1, { if_no_waiter: "fail" }),
      send(strait, "waiting-1", 1, { generation: 9 }),
    ]);

    expect(answers.map(summary)).toEqual([
      [200, "delivered"],
      [202, "buffered"],
      [409, "wait_closed"],
      [200, "delivered"],
      [200, "duplicate"],
      [409, "already_resolved"],
      [404, "not_found"],
      [409, "stale_generation"],
    ]);
  });

  test("R1 K2 K4 reach waits of every kind: whose run is free, has a long payload, is held, and that tell a URL", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const free = await stage.parked("free");
    const receiver = await startExecutor(() => ({ status: 200 }));
    const telling = await stage.parked("telling", { notify_url: receiver.url });
    const long = await stage.run("x".repeat(1_000));
    await long.wait("long");
    const held = await stage.parked("held");
    const lock = await hold(strait, sql`SELECT 1 FROM runs WHERE id = ${held.id} FOR NO KEY UPDATE`);

    const keys = ["free", "telling", "long", "held"];
    const answers = await Promise.all(keys.map((key) => send(strait, key, { to: key })));
    await lock.release();

    expect(answers.map(summary)).toEqual(keys.map(() => [200, "delivered"]));
    for (const [index, run] of [free, telling, long, held].entries()) {
      const { headers, body } = await run.dispatch(2);
      expect([headers["x-resume-reason"], headers["x-last-checkpoint"]]).toEqual(["event", `{"to":"${keys[index]}"}`]);
      expect(body).toEqual((await run.dispatch(1)).body);
    }
    const told = await strait.db.query(sql`
      SELECT t.event_key, count(*)::int AS moves, count(DISTINCT e.id)::int AS events FROM event_triggers t
      JOIN changes c ON c.ended_trigger_id = t.id OR c.subject_id = t.id AND c.before = 'waiting' AND c.after = 'received'
      JOIN sends e ON e.trigger_id = t.id AND e.disposition = 'delivered' AND e.payload = t.response_payload
      GROUP BY t.event_key ORDER BY t.event_key`);
    expect(told).toEqual(keys.toSorted().map((event_key) => ({ event_key, moves: 1, events: 1 })));
    expect(
      await strait.db.query(sql`SELECT event_trigger_id FROM webhook_deliveries WHERE event_type = 'trigger.received'`),
    ).toEqual([{ event_trigger_id: telling.trigger.id }]);
  });

  test("K4 to waits of runs that go on at once are one statement, which is all that they cost", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("free");
    const statements = recordStatements();

    const sent = await send(strait, "free", 1);

    expect(summary(sent)).toEqual([200, "delivered"]);
    const settling = statements.filter(({ text }) => /UPDATE event_triggers/.test(text));
    expect(settling).toHaveLength(1);
    expect(settling[0]?.text).not.toMatch(/step_runs|run_queue|run_wakes|webhook_deliveries|run_bodies/);
  });

  test("L2 of one key are folded in the order of their arrival: one winner, the others as if they came later", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");

    const answers = await Promise.all([1, 2, 1, 3, 1].map((n) => send(strait, "k", n)));

    expect(answers.map(summary)).toEqual([
      [200, "delivered"],
      [409, "already_resolved"],
      [200, "duplicate"],
      [409, "already_resolved"],
      [200, "duplicate"],
    ]);
    expect((await run.read()).checkpoint).toBe(1);
    expect((await dispositions(strait)).sort()).toEqual([
      "conflict",
      "conflict",
      "delivered",
      "duplicate",
      "duplicate",
    ]);
  });

  test("B1 B2 of one key without a wait are all kept, in the order of their arrival", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const numbers = [1, 2, 3, 4, 5];

    const answers = await Promise.all(numbers.map((n) => send(strait, "k", n)));

    expect(answers.map(({ status }) => status)).toEqual(numbers.map(() => 202));
    const run = await stage.run();
    const payloads = [];
    for (const _ of numbers) payloads.push((await run.wait("k")).body.response_payload);
    expect(payloads).toEqual(numbers);
  });

  test("S2 that share an Idempotency-Key among others without one are one request", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const once = { "idempotency-key": "once" };

    const answers = await Promise.all([
      send(strait, "k", 1, {}, once),
      send(strait, "other", 1),
      send(strait, "k", 1, {}, once),
      send(strait, "k", 2, {}, once),
      send(strait, "k", 2),
    ]);

    expect(answers.map(summary)).toEqual([
      [200, "delivered"],
      [202, "buffered"],
      [200, "delivered"],
      [422, "idempotency_mismatch"],
      [409, "already_resolved"],
    ]);
    expect(answers.map(({ headers }) => headers.get("idempotency-replayed"))).toEqual([null, null, "true", null, null]);
  });
});
