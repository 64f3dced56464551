import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { remove } from "../src/store/trigger-purge.ts";
import { countOf, startQuiet } from "./given.ts";
import { type Plan, plansOf } from "./plans.ts";
import { eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { eventOf, type Stage, send, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const DAY_MS = 86_400_000;

describe("the statistics of events", () => {
  test("ST-23 tell what waits, for how long, without an end and near its deadline", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const oldest = await stage.parked("review:1", { timeout_secs: null });
    await stage.parked("review:2", { timeout_secs: 7_200 });
    const near = await stage.parked("review:3", { timeout_secs: 600 });
    await stage.parked("review:4", { timeout_secs: 60 });
    await stage.parked("review:5");
    await strait.advance(30_000);
    await send(strait, "review:4", { approved: true });
    await strait.request("DELETE", "/v1/events/review:5");
    await send(strait, "nobody:waits", {});
    const other = await strait.anotherProject();

    const { status, body } = await strait.request("GET", "/v1/events/stats?near_deadline_secs=3600");
    const others = await strait.request("GET", "/v1/events/stats", { token: other.apiKey });

    expect(status).toBe(200);
    expect(body).toEqual({
      counted_up_to: 1_000,
      waiting: 3,
      received: 1,
      timed_out: 0,
      canceled: 1,
      superseded: 0,
      without_deadline: 1,
      near_deadline: 1,
      near_deadline_secs: 3_600,
      next_deadline: near.trigger.expires_at,
      oldest_waiting: {
        trigger_id: oldest.trigger.id,
        event_key: "review:1",
        requested_at: oldest.trigger.requested_at,
      },
      buffered: 1,
      dead_letters: 0,
      avg_wait_duration_secs: expect.closeTo(30, 0),
    });
    expect(others.body).toMatchObject({ waiting: 0, received: 0, oldest_waiting: null, avg_wait_duration_secs: null });
  });

  test("ST-23 the list of what is near its deadline has what the statistics count", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("review:1", { timeout_secs: 7_200 });
    await stage.parked("review:2", { timeout_secs: 600 });
    await stage.parked("review:3", { timeout_secs: 300 });
    const inAnHour = new Date(strait.server.context.clock.nowMs() + 3_600_000).toISOString();

    const { body } = await strait.request("GET", `/v1/events?expires_before=${inAnHour}`);

    expect(body.data.map((row: { event_key: string }) => row.event_key)).toEqual(["review:3", "review:2"]);
  });

  test("stop counting where a larger number would cost more and tell nothing", async () => {
    const strait = await startServer({ runsEngine: false });
    await strait.db.query({
      text: `INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, job_run_id)
        SELECT $1, 'trg_' || n, 'e', 'k' || n, 1, 'job_run', 'event', 'r' FROM generate_series(1, 1200) AS n`,
      values: [strait.projectId],
    });

    const { body } = await strait.request("GET", "/v1/events/stats");

    expect(body).toMatchObject({ waiting: 1_000, without_deadline: 1_000, near_deadline: 0, counted_up_to: 1_000 });
  });
});

/** A run that waited on the key, received its event, and has ended since. */
async function ended(strait: TestServer, stage: Stage, key: string): Promise<void> {
  const run = await stage.parked(key);
  expect((await send(strait, key, { n: key })).status).toBe(200);
  const { runToken: token } = await run.dispatch(2);
  expect((await strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, { token, body: {} })).status).toBe(200);
}

const pending = async (strait: TestServer) =>
  (await strait.db.query(sql`SELECT 1 FROM webhook_deliveries WHERE status = 'pending'`)).length;

/** The index conditions by which a plan reads a table. */
function conditionsOn(table: string, plan: Plan | undefined): (string | undefined)[] {
  const own = plan?.["Relation Name"] === table && plan["Node Type"].includes("Index") ? [plan["Index Cond"]] : [];
  return [...own, ...(plan?.Plans ?? []).flatMap((child) => conditionsOn(table, child))];
}

const purge = (strait: TestServer, body: object) => strait.request("POST", "/v1/events/purge", { body });

describe("purging events", () => {
  test("W4 ST-14 deletes exactly what a dry run tells, and nothing that waits", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const key of ["old:a", "old:b", "old:c"]) await ended(strait, stage, key);
    const waiting = await stage.parked("open", { timeout_secs: null });
    await strait.advance(10 * DAY_MS);
    await ended(strait, stage, "young");

    const dry = await purge(strait, { older_than_days: 7, dry_run: true });
    const keptByDryRun = await countOf(strait, "event_triggers");
    const { count, digest } = dry.body;
    const refused = await purge(strait, { older_than_days: 7, expect: { count: 2 } });
    const deleted = await purge(strait, { older_than_days: 7, expect: { count, digest } });
    const again = await purge(strait, { older_than_days: 7 });

    expect(dry.body).toEqual({ dry_run: true, count: 3, digest: expect.any(String), has_more: false });
    expect(keptByDryRun).toBe(5);
    expect(refused.body.error).toMatchObject({ code: "expectation_failed", details: { count: 3, digest } });
    expect(deleted.body).toEqual({ ...dry.body, dry_run: false });
    expect(again.body).toMatchObject({ count: 0, has_more: false });
    expect((await eventOf(strait, "old:a")).status).toBe(404);
    expect((await eventOf(strait, "open")).body).toMatchObject({ id: waiting.trigger.id, status: "waiting" });
    expect((await eventOf(strait, "young")).body).toMatchObject({ status: "received" });
    expect(await countOf(strait, "sends")).toBe(1);
  });

  test("W4 takes the statuses and as many as it is told to, oldest first", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const key of ["r:1", "r:2", "r:3"]) await ended(strait, stage, key);
    const canceled = await stage.parked("c");
    await strait.request("DELETE", "/v1/events/c");
    await canceled.is("canceled");
    const before = new Date(strait.server.context.clock.nowMs() + DAY_MS).toISOString();

    const first = await purge(strait, { before, statuses: ["received"], limit: 2 });
    const left = await strait.request("GET", "/v1/events");
    const rest = await purge(strait, { before, statuses: ["received", "timed_out"], limit: 2 });

    expect(first.body).toMatchObject({ count: 2, has_more: true });
    expect(left.body.data.map((row: { event_key: string }) => row.event_key)).toEqual(["c", "r:3"]);
    expect(rest.body).toMatchObject({ count: 1, has_more: false });
  });

  test("W4 keeps what a run or a workflow run that goes on has still to be told of", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("of:run");
    const workflow = await startWorkflowStage(strait, [
      { step_ref: "first", type: "wait_for_event", event_key: "of:workflow" },
      { step_ref: "then", type: "wait_for_event", event_key: "of:workflow:then", depends_on: ["first"] },
    ]);
    const workflowRun = await workflow.trigger();
    await workflowRun.step("first", "waiting");
    await send(strait, "of:workflow", 1);
    await workflowRun.step("then", "waiting");
    await send(strait, "of:run", 1);
    const { runToken: token } = await run.dispatch(2);

    const none = await purge(strait, { before: "2100-01-01T00:00:00Z" });
    await send(strait, "of:workflow:then", 1);
    await workflowRun.is("completed");
    await strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, { token, body: {} });
    const all = await purge(strait, { before: "2100-01-01T00:00:00Z" });

    expect(none.body.count).toBe(0);
    expect(all.body.count).toBe(3);
  });

  test("W4 B3 B8 keeps events that are buffered for another wait, and dead letters that nobody has handled", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await ended(strait, stage, "asked");
    const next = await send(strait, "asked", 2, { for_next: true });
    await send(strait, "strict", "no number");
    const strict = await stage.parked("strict", { payload_schema: { type: "number" } });
    await strait.request("DELETE", "/v1/events/strict");
    await strict.is("canceled");

    const purged = await purge(strait, { before: "2100-01-01T00:00:00Z" });

    expect(purged.body.count).toBe(2);
    expect((await strait.request("GET", "/v1/event-dead-letters")).body.data).toMatchObject([
      { event_key: "strict", payload: "no number", trigger_id: strict.trigger.id },
    ]);
    expect(next.status).toBe(202);
    expect((await (await stage.run()).wait("asked")).body).toMatchObject({ status: "received", response_payload: 2 });
    expect(await countOf(strait, "sends")).toBe(2);
  });

  test("W4 keeps what a receiver has still to be told of", async () => {
    const strait = await startQuiet();
    const receiver = await startExecutor();
    const stage = await startStage(strait);
    const run = await stage.parked("told", { notify_url: `${receiver.url}/ended` });
    await strait.request("DELETE", "/v1/events/told");
    await strait.tick("wake-owners");
    await run.is("canceled");
    const request = { before: "2100-01-01T00:00:00Z" };

    const early = await purge(strait, request);
    await strait.tick("deliver-webhooks");
    await eventually(async () => (await pending(strait)) === 0);
    const late = await purge(strait, request);

    expect(early.body.count).toBe(0);
    expect(receiver.dispatches.length).toBe(2);
    expect(late.body.count).toBe(1);
  });

  test("Q5 reads what belongs to what it deletes, not what the whole project has", async () => {
    const strait = await startServer({ runsEngine: false });
    const recorded = recordStatements();
    await remove(strait.db, strait.projectId, ["trg_none"]);
    const statements = recorded.map(({ text }) => text).filter((text) => text.includes("DELETE FROM changes"));

    const [plan] = (await plansOf(strait.databaseUrl, statements)).values();

    for (const [table, column] of [
      ["changes", "subject_id"],
      ["events", "event_key"],
      ["webhook_deliveries", "event_trigger_id"],
    ] as const) {
      expect(conditionsOn(table, plan)).toEqual([expect.stringContaining(column)]);
    }
  });

  test("W4 U4 leaves other projects alone, and a key that it has emptied counts on", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await ended(strait, stage, "asked:again");
    const other = await strait.anotherProject();
    const request = { before: "2100-01-01T00:00:00Z" };

    const byOther = await strait.request("POST", "/v1/events/purge", { body: request, token: other.apiKey });
    const byOwner = await purge(strait, request);
    const sent = await send(strait, "asked:again", 2);
    const next = await stage.run();
    const opened = await next.wait("asked:again");

    expect(byOther.body.count).toBe(0);
    expect(byOwner.body.count).toBe(1);
    expect(sent.body).toMatchObject({ disposition: "buffered" });
    expect(opened.body).toMatchObject({ status: "received", generation: 2, response_payload: 2 });
  });

  test("W4 U4 leaves the row of the key, so that a link to the wait that is gone is told that it has ended, not that it is stale", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await ended(strait, stage, "asked");
    const { id } = (await eventOf(strait, "asked")).body;
    await purge(strait, { before: "2100-01-01T00:00:00Z" });

    const answers = [
      await send(strait, "asked", 2, { generation: 1 }),
      await send(strait, "asked", 2, { trigger_id: id }),
      await strait.request("POST", "/v1/events/asked/reject", { body: { reason: "no", generation: 1 } }),
      await send(strait, "asked", 2, { generation: 2 }),
    ];

    expect(answers.map(({ status, body }) => [status, body.error.code])).toEqual([
      [409, "wait_closed"],
      [409, "wait_closed"],
      [409, "wait_closed"],
      [409, "stale_generation"],
    ]);
    expect(answers[3]?.body.error.details).toMatchObject({ generation: 1, given: 2 });
  });

  test.each([
    [{}, "/older_than_days", "required"],
    [{ older_than_days: 1, before: "2026-01-01T00:00:00Z" }, "/before", "oneOf"],
    [{ older_than_days: 0 }, "/older_than_days", "minimum"],
    [{ older_than_days: 1, statuses: ["received", "waiting"] }, "/statuses/1", "ended"],
  ])("refuses %j by the field and the rule", async (body, field, rule) => {
    const strait = await startServer({ runsEngine: false });

    const answer = await purge(strait, body);

    expect(answer.status).toBe(400);
    expect(answer.body.error.details.issues).toMatchObject([{ field, rule }]);
  });
});
