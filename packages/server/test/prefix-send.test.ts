import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { type Answer, eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, hold, send, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";

function sendPrefix(
  strait: TestServer,
  prefix: string,
  body: object,
  options: { headers?: Record<string, string>; token?: string } = {},
): Promise<Answer> {
  return strait.request("POST", `/v1/events/prefix/${encodeURIComponent(prefix)}/send`, { body, ...options });
}

const keysOf = ({ body }: Answer): string[] => body.triggers.map((trigger: { event_key: string }) => trigger.event_key);

/** Waits `<prefix>0`, `<prefix>1` … of steps that nobody runs, opened a millisecond apart. */
async function givenWaits(strait: TestServer, prefix: string, count: number, expiresIn = "1 day"): Promise<void> {
  await strait.db.query(sql`
    WITH opened AS (
      INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type,
        workflow_run_id, workflow_step_run_id, requested_at, expires_at, closes_at)
      SELECT p.id, 'trg_' || substr(md5(${prefix}::text || n), 1, 26), p.default_environment_id, ${prefix}::text || n, 1,
        'workflow_step', 'event', 'wfr_none', 'step_none', strait_now() - interval '1 hour' + n * interval '1 ms',
        strait_now() + ${expiresIn}::interval, strait_now() + ${expiresIn}::interval
      FROM projects p, generate_series(0, ${count}::int - 1) AS n WHERE p.id = ${strait.projectId}
      RETURNING *)
    INSERT INTO event_keys (project_id, environment_id, event_key, generation, latest_trigger_id)
    SELECT project_id, environment_id, event_key, generation, id FROM opened`);
}

async function countOf(strait: TestServer, status: string): Promise<number> {
  const [row] = await strait.db.query<{ count: number }>(
    sql`SELECT count(*)::int4 AS count FROM event_triggers WHERE status = ${status}`,
  );
  return row?.count ?? 0;
}

describe("sending to a prefix", () => {
  test("ST-13 P2 P6 answers every wait under it, and each run goes on with the payload", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const [one, two] = [await stage.parked("batch-42:item-1"), await stage.parked("batch-42:item-2")];
    const other = await stage.parked("batch-421:item-1");

    const sent = await sendPrefix(strait, "batch-42:", { payload: { ok: true } });

    expect(sent.status).toBe(200);
    expect(sent.body).toMatchObject({ dry_run: false, resolved: 2, skipped: [], has_more: false, next_cursor: null });
    expect(sent.body.triggers).toMatchObject([
      { event_key: "batch-42:item-1", status: "received", disposition: "delivered", response_payload: { ok: true } },
      { event_key: "batch-42:item-2", status: "received", disposition: "delivered", job_run_id: two.id },
    ]);
    for (const run of [one, two]) {
      expect((await run.dispatch(2)).headers["x-resume-reason"]).toBe("event");
      expect((await run.read()).checkpoint).toEqual({ ok: true });
    }
    expect((await other.read()).status).toBe("waiting");
    const events = await strait.db.query(sql`SELECT disposition, channel, actor LIKE 'apikey:%' AS is_key FROM sends`);
    expect(events).toEqual([
      { disposition: "delivered", channel: "batch", is_key: true },
      { disposition: "delivered", channel: "batch", is_key: true },
    ]);
  });

  test.each([
    ["100%", ["100%:a"], ["100a:b", "100"]],
    ["a_b", ["a_b", "a_b:1"], ["axb", "a\\_b"]],
    ["a*?", ["a*?"], ["abc"]],
    ["Key:", ["Key:1"], ["key:1", "KEY:1"]],
    ["pru\u0308", ["pr\u00fcfung"], ["pru", "prv"]],
    ["ok:\ud7ff", ["ok:\ud7ff", "ok:\ud7ffz"], ["ok:\ue000", "ok:\ud7fe"]],
    ["ok:\u{10ffff}", ["ok:\u{10ffff}", "ok:\u{10ffff}a"], ["ok;", "ok:\u{10fffe}"]],
  ])("P1 takes %j literally and byte for byte", async (prefix, inside, outside) => {
    const strait = await startServer({ runsEngine: false });
    for (const key of [...outside, ...inside]) {
      await givenWaits(strait, key, 1);
      const exact = key.normalize("NFC");
      await strait.db.query(sql`UPDATE event_triggers SET event_key = ${exact} WHERE event_key = ${`${key}0`}`);
    }

    const sent = await sendPrefix(strait, prefix, {});

    expect(keysOf(sent).toSorted()).toEqual(inside.toSorted());
  });

  test("P1 wants three characters, unless the caller means fewer", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "ab", 2);

    const refused = await sendPrefix(strait, "ab", {});
    const allowed = await sendPrefix(strait, "ab", { allow_short: true });

    expect([refused.status, refused.body.error.code]).toEqual([400, "validation_error"]);
    expect(refused.body.error.details.issues).toMatchObject([{ field: "/path/prefix", rule: "minLength" }]);
    expect(allowed.body.resolved).toBe(2);
  });

  test("P2 U5 keeps nothing for later, and stays within its project and environment", async () => {
    const strait = await startServer({ runsEngine: false });
    const { apiKey } = await strait.anotherProject();
    await givenWaits(strait, "foreign:", 1);
    await givenWaits(strait, "elsewhere:", 1);
    await strait.db.query(sql`
      UPDATE event_triggers SET environment_id = 'env_other' WHERE event_key = 'elsewhere:0'`);

    const nobody = await sendPrefix(strait, "nobody:", { payload: 1 });
    const foreign = await sendPrefix(strait, "foreign:", { payload: 1 }, { token: apiKey });
    const elsewhere = await sendPrefix(strait, "elsewhere:", { payload: 1 });

    for (const { status, body } of [nobody, foreign, elsewhere]) {
      expect([status, body.resolved, body.triggers, body.skipped]).toEqual([200, 0, [], []]);
    }
    expect(await countOf(strait, "waiting")).toBe(2);
    expect(await strait.db.query(sql`SELECT 1 FROM sends`)).toEqual([]);
  });

  test("P3 R2 checks each wait by itself, and answers the others", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "order:", 4);
    await strait.db.query(sql`
      UPDATE event_triggers SET payload_schema = '{"type":"object","required":["amount"]}' WHERE event_key = 'order:1'`);
    await strait.db.query(sql`
      UPDATE event_triggers SET expires_at = past, closes_at = past
      FROM (SELECT strait_now() - interval '1 s' AS past) WHERE event_key = 'order:2'`);

    const sent = await sendPrefix(strait, "order:", { payload: { result: "clear" } });

    expect(keysOf(sent)).toEqual(["order:0", "order:3"]);
    expect(sent.body).toMatchObject({
      resolved: 2,
      skipped: [
        { event_key: "order:1", trigger_id: expect.stringMatching(/^trg_/), code: "payload_mismatch" },
        { event_key: "order:2", code: "wait_closed", message: expect.stringContaining("timed_out") },
      ],
    });
    expect((await eventOf(strait, "order:1")).body.status).toBe("waiting");
    expect((await eventOf(strait, "order:2")).body.status).toBe("timed_out");
    const kept = await strait.db.query(
      sql`SELECT event_key, disposition, payload FROM sends WHERE disposition <> 'delivered' ORDER BY event_key`,
    );
    expect(kept).toEqual([
      { event_key: "order:1", disposition: "rejected", payload: "null" },
      { event_key: "order:2", disposition: "late", payload: '{"result":"clear"}' },
    ]);
  });

  test("P4 reaches 1,500 waits page by page, each once, those that opened first before the others", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "bulk:", 1_500);

    const first = await sendPrefix(strait, "bulk:", { payload: { n: 1 } });
    await givenWaits(strait, "bulk:later-", 1);
    await strait.db.query(sql`
      UPDATE event_triggers SET requested_at = strait_now() WHERE event_key = 'bulk:later-0'`);
    const second = await sendPrefix(strait, "bulk:", { payload: { n: 1 }, cursor: first.body.next_cursor });

    expect(first.body).toMatchObject({ resolved: 1_000, has_more: true, next_cursor: expect.any(String) });
    expect(second.body).toMatchObject({ resolved: 500, has_more: false, next_cursor: null });
    expect([...keysOf(first), ...keysOf(second)]).toEqual(Array.from({ length: 1_500 }, (_, n) => `bulk:${n}`));
    expect((await eventOf(strait, "bulk:later-0")).body.status).toBe("waiting");
  });

  test.each([
    "not-a-cursor",
    Buffer.from("events:trg_01k0000000e008000000000am1").toString("base64url"),
    "another prefix's",
  ])("P4 refuses %s as a cursor", async (text) => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "bulk:", 2);
    await givenWaits(strait, "other:", 2);
    const other = await sendPrefix(strait, "other:", { limit: 1 });
    const cursor = text.startsWith("another") ? other.body.next_cursor : text;

    const sent = await sendPrefix(strait, "bulk:", { cursor });

    expect([sent.status, sent.body.error.code]).toEqual([400, "validation_error"]);
    expect(sent.body.error.details.issues).toMatchObject([{ field: "/cursor", rule: "cursor" }]);
  });

  test("P5 tells what it would reach, and refuses when the set has changed", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "review:", 3);

    const look = await sendPrefix(strait, "review:", { dry_run: true, limit: 2 });
    const again = await sendPrefix(strait, "review:", { dry_run: true });
    const { count, digest } = look.body;
    await strait.db.query(sql`UPDATE event_triggers SET id = 'trg_another' WHERE event_key = 'review:2'`);
    const refused = await sendPrefix(strait, "review:", { expect: { count, digest } });
    const counted = await sendPrefix(strait, "review:", { expect: { count: 2 } });
    const now = await sendPrefix(strait, "review:", { dry_run: true });
    const sent = await sendPrefix(strait, "review:", { expect: { count, digest: now.body.digest } });

    expect(look.body).toEqual({
      dry_run: true,
      count: 3,
      keys: ["review:0", "review:1"],
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      has_more: true,
      next_cursor: expect.any(String),
    });
    expect(again.body.digest).toBe(digest);
    expect([refused.status, refused.body.error.code]).toEqual([409, "expectation_failed"]);
    expect(refused.body.error.details).toEqual({ count: 3, digest: now.body.digest });
    expect(counted.status).toBe(409);
    expect(sent.body.resolved).toBe(3);
  });

  test.each([
    ["null", null],
    ["numbers", [1.5, 1e300, 1e-7, 0.1 + 0.2]],
    ["text of all kinds", { "ü\u2028": "\u{1f600}\u0001\\", long: "ß".repeat(200) }],
    ["what is too long for the queue's statement", "x".repeat(600)],
  ])("P5 P6 with %s tells of each wait what a look at it tells afterwards, and nothing else", async (_, payload) => {
    const strait = await startServer({ env: { WORKER_CONCURRENCY: "1" } });
    const stage = await startStage(strait);
    const request_payload = { payload, pages: Array.from({ length: 2_000 }, (_, n) => n / 3) };
    for (let n = 0; n < 3; n++) {
      await stage.parked(`look:${n}`, { request_payload, payload_schema: { description: "any" }, tags: { n: `${n}` } });
    }
    const { digest } = (await sendPrefix(strait, "look:", { dry_run: true })).body;

    const sent = await sendPrefix(strait, "look:", { payload, expect: { count: 3, digest } });

    expect(keysOf(sent)).toEqual(["look:0", "look:1", "look:2"]);
    for (const { disposition, ...trigger } of sent.body.triggers) {
      expect(disposition).toBe("delivered");
      expect(trigger).toEqual((await eventOf(strait, trigger.event_key)).body);
      expect(trigger).toMatchObject({ request_payload, response_payload: JSON.parse(JSON.stringify(payload)) });
    }
  });

  test("P5 of an empty set counts none, and stands for it", async () => {
    const strait = await startServer({ runsEngine: false });

    const look = await sendPrefix(strait, "nobody:", { dry_run: true });
    const sent = await sendPrefix(strait, "nobody:", { expect: { count: 0, digest: look.body.digest } });

    expect(look.body).toMatchObject({ count: 0, keys: [], has_more: false });
    expect(sent.body).toMatchObject({ resolved: 0 });
  });

  test("P6 answers those around a wait that somebody holds before that one", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "group:", 500);
    const lock = await hold(strait, sql`SELECT 1 FROM event_triggers WHERE event_key = 'group:450' FOR UPDATE`);

    const sending = sendPrefix(strait, "group:", { payload: 1 });
    await eventually(async () => (await countOf(strait, "received")) === 499);
    await lock.release();

    expect((await sending).body).toMatchObject({ resolved: 500, skipped: [] });
  });

  test("P6 R1 is one winner with a send to one of the keys", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "race:", 50);

    const [wide, ...single] = await Promise.all([
      sendPrefix(strait, "race:", { payload: "wide" }),
      ...Array.from({ length: 50 }, (_, n) => send(strait, `race:${n}`, "single")),
    ]);

    const won = single.filter(({ status }) => status === 200).length;
    expect(wide?.body.resolved).toBe(50 - won);
    expect(single.filter(({ status }) => status === 409)).toHaveLength(50 - won);
    const delivered = await strait.db.query(sql`SELECT 1 FROM sends WHERE disposition = 'delivered'`);
    expect(delivered).toHaveLength(50);
  });

  test("P3 in one piece answers all waits or none", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "whole:", 3);
    await strait.db.query(
      sql`UPDATE event_triggers SET payload_schema = '{"type":"string"}' WHERE event_key = 'whole:2'`,
    );

    const unfit = await sendPrefix(strait, "whole:", { payload: 1, mode: "atomic" });
    const paged = await sendPrefix(strait, "whole:", { payload: "1", mode: "atomic", limit: 2 });
    const before = await countOf(strait, "waiting");
    const sent = await sendPrefix(strait, "whole:", { payload: "1", mode: "atomic" });

    expect([unfit.status, unfit.body.error.code]).toEqual([422, "payload_mismatch"]);
    expect([paged.status, paged.body.error.code]).toEqual([409, "expectation_failed"]);
    expect(before).toBe(3);
    expect(sent.body.resolved).toBe(3);
  });

  test("P4 ends a page where its waits ask for more than an answer has room for", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "long:", 3);
    await strait.db.query(sql`
      UPDATE event_triggers SET request_payload = ('"' || repeat('x', 17 * 1024 * 1024) || '"')::json`);

    const first = await sendPrefix(strait, "long:", { payload: 1, expect: { count: 3 } });
    const second = await sendPrefix(strait, "long:", { payload: 1, cursor: first.body.next_cursor });

    expect([keysOf(first), keysOf(second)]).toEqual([["long:0", "long:1"], ["long:2"]]);
    expect([first.body.has_more, second.body.has_more]).toEqual([true, false]);
  });

  test("P4 S2 gives a repeat with the same Idempotency-Key the stored answer", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenWaits(strait, "once:", 2);
    const headers = { "idempotency-key": "k-1" };

    const first = await sendPrefix(strait, "once:", { payload: 1 }, { headers });
    await givenWaits(strait, "once:again-", 1);
    const repeat = await sendPrefix(strait, "once:", { payload: 1 }, { headers });
    const other = await sendPrefix(strait, "once:", { payload: 2 }, { headers });

    expect(repeat.body).toEqual(first.body);
    expect(repeat.headers.get("idempotency-replayed")).toBe("true");
    expect([other.status, other.body.error.code]).toEqual([422, "idempotency_mismatch"]);
    expect(await countOf(strait, "waiting")).toBe(1);
  });

  test("P6 gives back the room of runs that it could not start", async () => {
    const strait = await startServer({ env: { WORKER_CONCURRENCY: "4" } });
    const stage = await startStage(strait);
    for (let n = 0; n < 3; n++) await stage.parked(`room:${n}`);
    await strait.db.query(
      sql`UPDATE event_triggers SET payload_schema = '{"type":"string"}' WHERE event_key = 'room:2'`,
    );

    const refused = await sendPrefix(strait, "room:", { payload: 1, mode: "atomic" });
    const sent = await sendPrefix(strait, "room:", { payload: "1" });

    expect(refused.status).toBe(422);
    expect(sent.body.resolved).toBe(3);
    await stage.executor.received(6);
    await eventually(async () => strait.server.dispatcher.inFlight === 0);
    await Promise.all([stage.run(), stage.run()]);
  });

  test("reads a range of the index of what waits, not all that waits", async () => {
    const strait = await startServer({ runsEngine: false });
    const statements = recordStatements();
    await sendPrefix(strait, "some:", { dry_run: true });
    const statement = statements.find(({ text }) => text.includes("LEFT JOIN ("));

    const plan = await strait.db.query<{ "QUERY PLAN": string }>({
      text: `EXPLAIN ${statement?.text}`,
      values: statement?.values ?? [],
    });

    const lines = plan.map((line) => line["QUERY PLAN"]).join("\n");
    expect(lines).toContain("event_triggers_waiting");
    expect(lines).toMatch(/Index Cond:.*event_key >= .*event_key < /);
  });
});
