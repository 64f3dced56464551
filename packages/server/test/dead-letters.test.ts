import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { startQuiet } from "./given.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const LIST = "/v1/event-dead-letters";

const list = async (strait: TestServer, query = "") => (await strait.request("GET", `${LIST}${query}`)).body;
const act = (strait: TestServer, id: string, what: "retarget" | "discard", body?: object, headers = {}) =>
  strait.request("POST", `${LIST}/${id}/${what}`, { body, headers });

/** An event that nobody asked for in time. */
async function givenExpired(strait: TestServer, key: string, payload: unknown = { paid: true }): Promise<string> {
  const { body } = await send(strait, key, payload, { ttl_secs: 60 });
  await strait.advance(60_000);
  return body.id;
}

describe("the dead letters", () => {
  test("B7 have what expired in the buffer, with its payload and who sent it", async () => {
    const strait = await startServer({ runsEngine: false });

    const id = await givenExpired(strait, "payment:1");

    expect((await list(strait)).data).toEqual([
      {
        id,
        project_id: strait.projectId,
        environment_id: expect.stringMatching(/^env_/),
        event_key: "payment:1",
        trigger_id: null,
        generation: null,
        reason: "expired",
        status: "open",
        payload: { paid: true },
        issues: [],
        channel: "api",
        sent_by: expect.stringMatching(/^apikey:key_/),
        sent_at: expect.any(String),
        dead_lettered_at: expect.any(String),
        handled_at: null,
        handled_by: null,
        retargeted_event_id: null,
      },
    ]);
  });

  test("B7 an event that has expired is not delivered before it gets there, nor after", async () => {
    const strait = await startQuiet();
    const stage = await startStage(strait);
    await send(strait, "k", "old", { ttl_secs: 60 });
    const run = await stage.run();
    await advanceClock(strait.db, 60_000);

    const opened = await run.wait("k", { payload_schema: { type: "string" } });

    expect(opened.body.status).toBe("waiting");
    expect((await list(strait)).data).toEqual([]);
    await strait.tick("expire-buffered");
    expect((await list(strait)).data).toMatchObject([{ reason: "expired", payload: "old" }]);
    expect((await eventOf(strait, "k")).body.status).toBe("waiting");
  });

  test("B7 come in chunks, and what was not yet due stays buffered", async () => {
    const strait = await startServer({ runsEngine: false });
    await strait.db.query(sql`
      INSERT INTO events (project_id, id, environment_id, event_key, disposition, payload, payload_digest, actor, channel, expires_at)
      SELECT 'p', 'evt_' || n, 'e', 'k', 'buffered', '1', '', 'a', 'api', strait_now() + make_interval(secs => n)
      FROM generate_series(1, 1200) AS n`);
    await advanceClock(strait.db, 1_100_000);

    const { handled = 0 } = (await strait.server.engine.tasks.get("expire-buffered")?.tick()) ?? {};
    await strait.tick("expire-buffered");

    expect(handled).toBe(500);
    const [row] = await strait.db.query<{ expired: number; buffered: number }>(sql`
      SELECT count(*) FILTER (WHERE disposition = 'expired' AND dead_letter_reason = 'expired')::int AS expired,
        count(*) FILTER (WHERE disposition = 'buffered' AND dead_letter_reason IS NULL)::int AS buffered FROM events`);
    expect(row?.expired).toBeGreaterThanOrEqual(1_100);
    expect((row?.expired ?? 0) + (row?.buffered ?? 0)).toBe(1_200);
    expect(row?.buffered).toBeGreaterThan(0);
  });

  test("B8 have what broke the schema of the wait that opened, with its errors", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "review:1", "yes");
    const run = await stage.parked("review:1", { payload_schema: { type: "boolean" } });

    const { data } = await list(strait);

    expect(data).toMatchObject([
      {
        reason: "payload_mismatch",
        trigger_id: run.trigger.id,
        generation: 1,
        payload: "yes",
        issues: [{ field: "/payload", rule: "type" }],
      },
    ]);
  });

  test("B5 have what a step emitted and the wait refused, but not what an API call was told about", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const key of ["conflict", "late"]) await stage.parked(key);
    await send(strait, "conflict", "first");
    await strait.request("DELETE", "/v1/events/late");
    const emitter = await startWorkflowStage(strait, [
      { step_ref: "a", job_id: "a", event_emit_key: "conflict" },
      { step_ref: "b", job_id: "b", event_emit_key: "late" },
    ]);

    const refused = [await send(strait, "conflict", "second"), await send(strait, "late", 1)];
    await (await emitter.trigger()).is("completed");

    expect(refused.map(({ status }) => status)).toEqual([409, 409]);
    const data = await eventually(async () => {
      const letters = (await list(strait)).data;
      return letters.length === 2 && letters;
    });
    expect(
      data.map((letter: { event_key: string; reason: string }) => [letter.event_key, letter.reason]).sort(),
    ).toEqual([
      ["conflict", "conflict"],
      ["late", "late"],
    ]);
    expect(data).toMatchObject([{ channel: "emit", sent_by: expect.stringMatching(/^workflow_run:/) }, {}]);
  });

  test("are listed by reason and by a literal prefix, in pages, the latest first", async () => {
    const strait = await startServer({ runsEngine: false });
    for (const key of ["a_1:x", "ab1:x", "a_1:y", "c"]) await send(strait, key, key, { ttl_secs: 1 });
    await strait.advance(1_000);
    const keysOf = (page: { data: { event_key: string }[] }) => page.data.map(({ event_key }) => event_key);

    const first = await list(strait, "?limit=2");
    const second = await list(strait, `?limit=2&cursor=${first.next_cursor}`);

    expect([keysOf(first), keysOf(second), second.has_more]).toEqual([["c", "a_1:y"], ["ab1:x", "a_1:x"], false]);
    expect(keysOf(await list(strait, "?prefix=a_1"))).toEqual(["a_1:y", "a_1:x"]);
    expect(keysOf(await list(strait, "?reason=payload_mismatch"))).toEqual([]);
    expect(keysOf(await list(strait, "?reason=expired&prefix=c"))).toEqual(["c"]);
  });
});

describe("a dead letter that is retargeted", () => {
  test("W1 is a new event by whoever did it: delivered to who waits, and off the list, in one transaction", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const id = await givenExpired(strait, "payment:tpyo");
    const run = await stage.parked("payment:typo");

    const sent = await act(strait, id, "retarget", { event_key: "payment:typo" });

    expect(sent).toMatchObject({
      status: 200,
      body: { id: run.trigger.id, disposition: "delivered", response_payload: { paid: true } },
    });
    await run.dispatch(2);
    expect((await list(strait)).data).toEqual([]);
    const rows = await strait.db.query(sql`
      SELECT t.channel, t.sent_by = l.handled_by AS is_handler, t.event_id = l.retargeted_event_id AS is_named,
        t.xmin::text = l.xmin::text AS is_same, l.dead_letter_status AS status
      FROM event_triggers t JOIN events l ON l.id = ${id} WHERE t.event_id IS NOT NULL`);
    expect(rows).toEqual([
      { channel: "retarget", is_handler: true, is_named: true, is_same: true, status: "retargeted" },
    ]);
  });

  test("B1 is kept when nobody waits yet, and keeps its text to the last digit", async () => {
    const strait = await startServer({ runsEngine: false });
    const sent = await strait.request("POST", "/v1/events/a/send", { text: '{"payload":{"n":1.50},"ttl_secs":60}' });
    await strait.advance(60_000);

    const moved = await act(strait, sent.body.id, "retarget", { event_key: "b", ttl_secs: 60 });

    expect(moved).toMatchObject({ status: 202, body: { disposition: "buffered", event_key: "b" } });
    const payloads = await strait.db.query<{ payload: string }>(sql`SELECT DISTINCT payload FROM sends`);
    expect(payloads).toHaveLength(1);
    await strait.advance(60_000);
    expect((await list(strait)).data).toMatchObject([{ event_key: "b", channel: "retarget" }]);
  });

  test.each([
    ["409 wait_closed", "closed", {}],
    ["409 stale_generation", "open", { generation: 7 }],
    ["422 payload_mismatch", "open", {}],
    ["404 not_found", "nobody", { if_no_waiter: "fail" }],
  ])("is refused like any other send (%s), and stays a dead letter", async (expected, event_key, options) => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startStage(strait);
    const id = await givenExpired(strait, "payment:1");
    await stage.parked("closed");
    await strait.request("DELETE", "/v1/events/closed");
    await stage.parked("open", { payload_schema: { type: "string" } });
    const before = await strait.db.query(sql`SELECT * FROM events ORDER BY id`);

    const refused = await act(strait, id, "retarget", { event_key, ...options });

    expect(`${refused.status} ${refused.body.error.code}`).toBe(expected);
    expect(await strait.db.query(sql`SELECT * FROM events ORDER BY id`)).toEqual(before);
  });

  test("S2 W1 happens once, and a repeat with its Idempotency-Key, which is recorded, has the stored answer", async () => {
    const strait = await startServer();
    const id = await givenExpired(strait, "a");
    const key = { "idempotency-key": "once" };

    const answers = [];
    for (const headers of [key, key, {}]) answers.push(await act(strait, id, "retarget", { event_key: "b" }, headers));

    expect(answers.map(({ status, headers }) => [status, headers.get("idempotency-replayed")])).toEqual([
      [202, null],
      [202, "true"],
      [409, null],
    ]);
    expect(answers[2]?.body.error).toMatchObject({ code: "illegal_move", details: { status: "retargeted" } });
    const { body } = await strait.request("GET", "/v1/events/b/sends");
    expect(body.data).toMatchObject([{ channel: "retarget", idempotency_key: "once" }]);
  });

  test("has one winner of many at the same time", async () => {
    const strait = await startServer();
    const id = await givenExpired(strait, "a");

    const answers = await Promise.all([
      ...[1, 2, 3].map((n) => act(strait, id, "retarget", { event_key: `b-${n}` })),
      act(strait, id, "discard"),
    ]);

    expect(answers.filter(({ status }) => status < 300)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(3);
  });
});

describe("a dead letter that is discarded", () => {
  test("W1 is off the list, and says who did it", async () => {
    const strait = await startServer();
    const id = await givenExpired(strait, "a");

    const discarded = await act(strait, id, "discard");

    expect(discarded).toMatchObject({
      status: 200,
      body: {
        id,
        status: "discarded",
        handled_by: expect.stringMatching(/^apikey:key_/),
        handled_at: expect.any(String),
      },
    });
    expect((await list(strait)).data).toEqual([]);
    expect(await act(strait, id, "retarget", { event_key: "b" })).toMatchObject({
      status: 409,
      body: { error: { code: "illegal_move" } },
    });
  });

  test("is nobody else's: another project and another event are 404, and scopes are asked for", async () => {
    const strait = await startServer();
    const id = await givenExpired(strait, "a");
    const buffered = (await send(strait, "b", 1)).body.id;
    const other = await strait.anotherProject();
    const reader = await strait.request("POST", "/v1/api-keys", { body: { name: "R", scopes: ["events:read"] } });

    const path = `${LIST}/${id}/discard`;
    const answers = [
      await strait.request("POST", path, { token: other.apiKey }),
      await act(strait, buffered, "discard"),
      await strait.request("POST", path, { token: reader.body.key }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 403]);
    expect((await strait.request("GET", LIST, { token: other.apiKey })).body.data).toEqual([]);
    expect((await strait.request("GET", LIST, { token: reader.body.key })).body.data).toHaveLength(1);
  });
});
