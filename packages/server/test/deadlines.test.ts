import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { givenJob, historyOf, landed, readRun, runIs, trigger } from "./given.ts";
import { type Executor, eventually, startExecutor, startServer, type TestServer } from "./server.ts";

const SECOND = 1_000;

async function startQuiet(env: Record<string, string> = {}): Promise<{ strait: TestServer; executor: Executor }> {
  const strait = await startServer({ runsEngine: false, env });
  await strait.tick("dispatch-runs");
  return { strait, executor: await startExecutor(() => ({ status: 202 })) };
}

/** A run that has answered 202 and whose job gives it 300 s. */
async function onItsOwn(strait: TestServer, executor: Executor, job: object = {}) {
  const policy = { timeout_secs: 300, retry_strategy: "fixed" };
  const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url, ...policy, ...job }));
  await eventually(async () => executor.dispatches.some(({ runId }) => runId === run.id));
  await landed(strait);
  return run;
}

const dueOf = async (strait: TestServer, id: string) =>
  (await strait.db.query<{ due_at: string }>(sql`SELECT due_at FROM run_deadlines WHERE run_id = ${id}`)).map(
    (row) => row.due_at,
  );

describe("a run that goes on by itself", () => {
  test("and gives no sign of life within timeout_secs is tried again", async () => {
    const { strait, executor } = await startQuiet();
    const run = await onItsOwn(strait, executor);

    await strait.advance(299 * SECOND);
    expect((await readRun(strait, run.id)).status).toBe("executing");
    await strait.advance(2 * SECOND);
    expect(await readRun(strait, run.id)).toMatchObject({ status: "queued", attempt: 2, error_class: "timeout" });
    await strait.advance(2 * SECOND);
    await strait.tick("dispatch-runs");

    await executor.received(2);
    expect(await historyOf(strait, run.id)).toEqual(["executing", "queued", "executing"]);
  });

  test("and has no attempt left is then a dead letter", async () => {
    const { strait, executor } = await startQuiet();
    const run = await onItsOwn(strait, executor, { max_attempts: 1 });

    await strait.advance(301 * SECOND);

    expect(await readRun(strait, run.id)).toMatchObject({ status: "dead_letter", error_class: "timeout" });
  });

  test("is kept by heartbeats, which do not move its deadline: it is armed again when it comes", async () => {
    const { strait, executor } = await startQuiet();
    const run = await onItsOwn(strait, executor);
    const [due] = await dueOf(strait, run.id);

    await strait.advance(200 * SECOND);
    await strait.request("POST", `/sdk/v1/runs/${run.id}/heartbeat`, { token: run.token, body: {} });
    expect(await dueOf(strait, run.id)).toEqual([due]);
    await strait.advance(150 * SECOND);
    expect((await readRun(strait, run.id)).status).toBe("executing");
    expect(await dueOf(strait, run.id)).toHaveLength(1);
    expect(await dueOf(strait, run.id)).not.toEqual([due]);
    await strait.advance(151 * SECOND);

    expect((await readRun(strait, run.id)).status).toBe("queued");
    expect(await dueOf(strait, run.id)).toEqual([]);
  });

  test("is not harmed by the deadline of a dispatch that is over", async () => {
    const { strait, executor } = await startQuiet();
    const run = await onItsOwn(strait, executor);
    await strait.request("POST", `/sdk/v1/runs/${run.id}/fail`, { token: run.token, body: { error: "again" } });
    await strait.advance(200 * SECOND);
    await strait.tick("dispatch-runs");
    await executor.received(2);
    await landed(strait);

    await strait.advance(101 * SECOND);

    expect(await readRun(strait, run.id)).toMatchObject({ status: "executing", dispatch_seq: 2 });
    expect(await dueOf(strait, run.id)).toHaveLength(1);
  });

  test("and waits has no deadline but that of its wait", async () => {
    const { strait, executor } = await startQuiet();
    const run = await onItsOwn(strait, executor);
    const wait = { event_key: "k", timeout_secs: null };
    await strait.request("POST", `/sdk/v1/runs/${run.id}/wait-for-event`, { token: run.token, body: wait });

    await strait.advance(86_400 * SECOND);

    expect((await readRun(strait, run.id)).status).toBe("waiting");
  });

  test("invariant 4: two processes that notice at once end it once", async () => {
    const { strait, executor } = await startQuiet();
    const second = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });
    const runs = [];
    for (let n = 0; n < 10; n++) runs.push(await onItsOwn(strait, executor));
    await advanceClock(strait.db, 301 * SECOND);

    await Promise.all([strait.tick("watch-deadlines"), second.tick("watch-deadlines")]);

    for (const { id } of runs) expect(await historyOf(strait, id)).toEqual(["executing", "queued"]);
  });
});

describe("the time to live of a run", () => {
  test("ends a run that has not started within it", async () => {
    const { strait } = await startQuiet({ MODE: "api" });
    const job = await givenJob(strait, { run_ttl_secs: 600 });
    const byItself = await trigger(strait, job, { ttl_secs: 60 });
    const byItsJob = await trigger(strait, job);

    await strait.advance(61 * SECOND);
    expect(await readRun(strait, byItself.id)).toMatchObject({ status: "expired", dispatch_seq: 0 });
    expect((await readRun(strait, byItsJob.id)).status).toBe("queued");
    await strait.advance(540 * SECOND);

    expect((await readRun(strait, byItsJob.id)).status).toBe("expired");
  });

  test("is kept by the claim also before anybody has noticed that it is over", async () => {
    const { strait, executor } = await startQuiet({ WORKER_CONCURRENCY: "1" });
    strait.server.dispatcher.backlog = true;
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }), { ttl_secs: 60 });
    await strait.db.query(sql`UPDATE runs SET expires_at = strait_now()`);

    await strait.tick("dispatch-runs");

    expect(executor.dispatches).toEqual([]);
    await strait.db.query(sql`UPDATE run_deadlines SET due_at = strait_now()`);
    await strait.tick("watch-deadlines");
    expect((await readRun(strait, run.id)).status).toBe("expired");
  });

  test("counts from scheduled_at", async () => {
    const { strait } = await startQuiet({ MODE: "api" });
    const scheduled_at = new Date(strait.server.context.clock.nowMs() + 3_600 * SECOND).toISOString();
    const run = await trigger(strait, await givenJob(strait), { scheduled_at, ttl_secs: 60 });

    await strait.advance(3_630 * SECOND);
    await strait.tick("release-scheduled");
    expect((await readRun(strait, run.id)).status).toBe("queued");
    await strait.advance(31 * SECOND);

    expect(await historyOf(strait, run.id)).toEqual(["delayed", "queued", "expired"]);
  });

  test.each([
    ["claimed at insert", false],
    ["claimed from the queue", true],
  ])("is over once the run has started (%s): its retries come however late", async (_, isQueued) => {
    const { strait } = await startQuiet();
    const executor = await startExecutor(({ headers }) => ({ status: headers["x-attempt"] === "1" ? 500 : 200 }));
    const policy = { retry_strategy: "custom", retry_delays_secs: [3_600] };
    strait.server.dispatcher.backlog = isQueued;
    const job = await givenJob(strait, { endpoint_url: executor.url, ...policy });
    const run = await trigger(strait, job, { ttl_secs: 60 });
    await strait.tick("dispatch-runs");
    await eventually(async () => (await readRun(strait, run.id)).attempt === 2);

    await strait.advance(1.2 * 3_600 * SECOND);
    await strait.tick("dispatch-runs");

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ attempt: 2 });
  });
});
