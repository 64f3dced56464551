import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { countOf } from "./given.ts";
import { receive, sendMessage } from "./inbox-stage.ts";
import { type Answer, eventually, startServer, type TestServer } from "./server.ts";
import { besides, eventOf, hold, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

async function limit(strait: TestServer, limits: object): Promise<void> {
  const { status, body } = await strait.request("PATCH", `/v1/projects/${strait.projectId}`, {
    token: null,
    headers: { "x-internal-secret": strait.internalSecret },
    body: limits,
  });
  expect([status, body]).toEqual([200, expect.objectContaining(limits)]);
}

const statusesOf = (answers: readonly Answer[]) => answers.map(({ status }) => status);

describe("B1 the events that a key holds for a wait to come", () => {
  test("are as many as the project allows: one more is refused with the limit and the ways out, and is not on record", async () => {
    const strait = await startServer();
    await limit(strait, { max_buffered_events_per_key: 2 });
    const kept = [await send(strait, "k", 1), await send(strait, "k", 2)];

    const refused = await send(strait, "k", 3, {}, { "idempotency-key": "once" });
    const elsewhere = await send(strait, "other", 3);
    const wanted = await send(strait, "k", 3, { if_no_waiter: "fail" });

    expect(statusesOf([...kept, refused, elsewhere, wanted])).toEqual([202, 202, 429, 202, 404]);
    expect(refused.body.error).toMatchObject({
      code: "quota_exceeded",
      message: expect.stringMatching(
        /event key "k" has as many buffered events as it may, 2; .*max_buffered_events_per_key/,
      ),
      details: { event_key: "k", limit: 2 },
    });
    expect(await countOf(strait, "sends")).toBe(3);
    await (await (await startStage(strait)).run()).wait("k");
    const again = await send(strait, "k", 3, { for_next: true }, { "idempotency-key": "once" });
    expect(again.status).toBe(202);
  });

  test("B7 do not count once they have expired", async () => {
    const strait = await startServer({ runsEngine: false });
    await limit(strait, { max_buffered_events_per_key: 1 });
    await send(strait, "k", 1, { ttl_secs: 60 });
    await strait.advance(60_000);

    const next = await send(strait, "k", 2);

    expect(next.status).toBe(202);
  });

  test("are never more, however many send at once to two processes", async () => {
    const strait = await startServer();
    const second = besides(strait, await startServer({ databaseUrl: strait.databaseUrl }));
    await limit(strait, { max_buffered_events_per_key: 3 });

    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) => send(n % 2 === 0 ? strait : second, "k", n)),
    );

    expect(statusesOf(answers).filter((status) => status === 202)).toHaveLength(3);
    expect(new Set(statusesOf(answers))).toEqual(new Set([202, 429]));
    expect(await countOf(strait, "sends")).toBe(3);
  });

  test("B5 are not more for a step that emits: it completes, and tells why nobody will get its event", async () => {
    const strait = await startServer();
    await limit(strait, { max_buffered_events_per_key: 1 });
    await send(strait, "k", 1);
    const stage = await startWorkflowStage(strait, [{ step_ref: "a", job_id: "a", event_emit_key: "k" }]);

    const run = await stage.trigger();
    await run.is("completed");

    const error = await eventually(async () => {
      const [step] = await strait.db.query<{ emit_error: string | null }>(sql`SELECT emit_error FROM step_runs`);
      return step?.emit_error ?? undefined;
    });
    expect(error).toContain("as many buffered events as it may, 1");
  });

  test("B6 hold up no wait that does not take them", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const n of [1, 2, 3]) await send(strait, "k", n);
    const run = await stage.run();
    await hold(strait, sql`SELECT 1 FROM events WHERE payload IN ('1', '3') FOR UPDATE`);

    const { body } = await run.wait("k", { filter: "payload == 2" });

    expect(body).toMatchObject({ status: "received", response_payload: 2 });
  });
});

describe("GR-01 the messages that a run has not taken", () => {
  test("are as many as the project allows: one more is refused with the limit and the ways out", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await limit(strait, { max_unread_messages_per_run: 2 });
    const run = await stage.run();
    const other = await stage.run();
    const kept = [await sendMessage(strait, run.id, "chat", 1), await sendMessage(strait, run.id, "note", 2)];

    const refused = await sendMessage(strait, run.id, "chat", 3);
    const elsewhere = await sendMessage(strait, other.id, "chat", 3);

    expect(statusesOf([...kept, refused, elsewhere])).toEqual([202, 202, 429, 202]);
    expect(refused.body.error).toMatchObject({
      code: "quota_exceeded",
      message: expect.stringMatching(/as many unread messages as it may, 2; .*max_unread_messages_per_run/),
      details: { run_id: run.id, limit: 2 },
    });
    expect(await countOf(strait, "inbox_messages")).toBe(3);
    await receive(strait, run, { max: 1 });
    expect((await sendMessage(strait, run.id, "chat", 4)).status).toBe(202);
  });

  test("do not keep one away that the run waits for, and an ended run is closed rather than full", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await limit(strait, { max_unread_messages_per_run: 1 });
    const run = await stage.run();
    await sendMessage(strait, run.id, "note", 1);
    await receive(strait, run, { names: ["chat"] });

    const awaited = await sendMessage(strait, run.id, "chat", 2);
    const full = await sendMessage(strait, run.id, "chat", 3);
    await strait.request("DELETE", `/v1/runs/${run.id}`);
    const closed = await sendMessage(strait, run.id, "chat", 4);

    expect(statusesOf([awaited, full, closed])).toEqual([200, 429, 409]);
  });
});

describe("R8 the answers of a group", () => {
  const keys = Array.from({ length: 8 }, (_, n) => `key:${n}`);
  const group = (strait: TestServer, run: { readonly id: string; readonly token: string }, mode: string) =>
    strait.request("POST", `/sdk/v1/runs/${run.id}/wait-for-events`, {
      token: run.token,
      body: { mode, waits: keys.map((event_key) => ({ event_key })) },
    });
  const [large, fitting] = ["x".repeat(524_287), "x".repeat(524_286)];

  test("have together at most 4 MiB: each may have its share, and a larger one is refused and leaves the wait open", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const opened = await group(strait, run, "all");

    const refused = await send(strait, "key:0", large);
    const skipped = await strait.request("POST", "/v1/events/prefix/key%3A/send", { body: { payload: large } });
    const [first, ...others] = keys;
    const accepted = await send(strait, first ?? "", fitting);
    for (const key of others) expect((await send(strait, key, fitting)).status).toBe(200);

    expect(opened.body.waits[0]).toMatchObject({ max_payload_bytes: 524_288 });
    expect(refused.body.error).toMatchObject({
      code: "payload_mismatch",
      details: { issues: [{ field: "/payload", rule: "maxLength", fix: expect.stringContaining("524288 bytes") }] },
    });
    expect(skipped.body).toMatchObject({ resolved: 0 });
    expect(accepted.body).toMatchObject({ status: "received", disposition: "recorded" });
    expect((await run.read()).checkpoint.results).toHaveLength(8);
  });

  test("B8 may be as large as any where one is enough; a buffered one that is too large becomes a dead letter", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "key:0", large);
    const all = await group(strait, await stage.run(), "all");
    await strait.request("DELETE", "/v1/events/key%3A0");
    const letters = await strait.request("GET", "/v1/event-dead-letters");

    const any = await group(strait, await stage.run(), "any");
    const single = await eventOf(strait, "key:0");
    const answered = await send(strait, "key:0", large);

    expect(all.body).toMatchObject({ status: "waiting" });
    expect(letters.body.data).toMatchObject([{ reason: "payload_mismatch", issues: [{ rule: "maxLength" }] }]);
    expect([any.status, single.body.max_payload_bytes]).toEqual([200, 4_194_304]);
    expect(answered.status).toBe(200);
  });
});
