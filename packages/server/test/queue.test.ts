import { describe, expect, onTestFinished, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { givenJob, historyOf, landed, readRun, runIs, startQuiet, trigger, triggerMany } from "./given.ts";
import { type Executor, type ExecutorAnswer, startExecutor, startServer, type TestServer } from "./server.ts";
import { recordStatements } from "./statements.ts";

const HOUR_MS = 3_600_000;

/** An executor that answers nothing until it is told to. */
async function startSilentExecutor(): Promise<Executor & { answer(): void }> {
  let answer: (answer: ExecutorAnswer) => void = () => {};
  const answered = new Promise<ExecutorAnswer>((resolve) => {
    answer = resolve;
  });
  onTestFinished(() => answer({ status: 202 }));
  const executor = await startExecutor(() => answered);
  return { ...executor, answer: () => answer({ body: null }) };
}

async function rowsOf(strait: TestServer, table: "run_queue" | "run_schedule"): Promise<string[]> {
  const rows = await strait.db.query<{ run_id: string }>({ text: `SELECT run_id FROM ${table}`, values: [] });
  return rows.map((row) => row.run_id);
}

describe("L3 a run is claimed as it is inserted", () => {
  test("while there is room and no backlog, and dispatched after the commit", async () => {
    const strait = await startQuiet({ WORKER_CONCURRENCY: "4" });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });

    const run = await trigger(strait, job);

    expect(run.status).toBe("executing");
    expect(await rowsOf(strait, "run_queue")).toEqual([]);
    expect(await runIs(strait, run.id, "completed")).toMatchObject({ dispatch_seq: 1, attempt: 1 });
    expect(await historyOf(strait, run.id)).toEqual(["executing", "completed"]);
  });

  test("and queues up behind a backlog, until the queue is found empty", async () => {
    const strait = await startServer({ runsEngine: false });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });

    const early = await trigger(strait, job);
    await strait.tick("dispatch-runs");
    const late = await trigger(strait, job);

    expect(early.status).toBe("queued");
    expect(late.status).toBe("executing");
    await runIs(strait, early.id, "completed");
    expect(await historyOf(strait, early.id)).toEqual(["queued", "executing", "completed"]);
  });

  test("but one project takes at most half of the room, and nobody more than there is", async () => {
    const strait = await startQuiet({ WORKER_CONCURRENCY: "4" });
    const { url } = await startSilentExecutor();
    const mine = await givenJob(strait, { endpoint_url: url });
    const others = [await strait.anotherProject(), await strait.anotherProject()];

    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push((await trigger(strait, mine)).status);
    for (const { apiKey: token } of others) {
      await strait.request("POST", "/v1/jobs", { token, body: { name: "j", slug: "j", endpoint_url: url } });
      for (let n = 0; n < 2; n++) {
        statuses.push((await strait.request("POST", "/v1/jobs/j/trigger", { token, body: {} })).body.status);
      }
    }

    expect(statuses).toEqual(["executing", "executing", "queued", "executing", "executing", "queued", "queued"]);
  });

  test("a batch fills the room, and only what is left over queues up", async () => {
    const strait = await startQuiet({ WORKER_CONCURRENCY: "8" });
    const { url } = await startSilentExecutor();
    const job = await givenJob(strait, { endpoint_url: url });
    const scheduled_at = new Date(strait.server.context.clock.nowMs() + HOUR_MS).toISOString();

    const { body } = await strait.request("POST", `/v1/jobs/${job}/trigger/bulk`, {
      body: { items: [{ scheduled_at }, ...Array.from({ length: 6 }, () => ({}))] },
    });

    expect(body.results.map((run: { status: string }) => run.status)).toEqual([
      "delayed",
      ...Array.from({ length: 4 }, () => "executing"),
      ...Array.from({ length: 2 }, () => "queued"),
    ]);
  });

  test("a resolved wait likewise: the process that settled it goes on with the run", async () => {
    const strait = await startQuiet({ WORKER_CONCURRENCY: "4" });
    const executor = await startExecutor(() => ({ status: 202 }));
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await strait.request("POST", `/sdk/v1/runs/${run.id}/wait-for-event`, {
      token: run.token,
      body: { event_key: "k" },
    });

    await strait.request("POST", "/v1/events/k/send", { body: { payload: 1 } });

    await executor.received(2);
    expect(await rowsOf(strait, "run_queue")).toEqual([]);
    expect(await historyOf(strait, run.id)).toEqual(["executing", "waiting", "executing"]);
  });

  test("a dead lease never claims: not at insert, not from the queue, not by a resolved wait", async () => {
    const strait = await startQuiet({ WORKER_CONCURRENCY: "4" });
    const executor = await startExecutor(() => ({ status: 202 }));
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const waiting = await trigger(strait, job);
    const wait = { token: waiting.token, body: { event_key: "k" } };
    await strait.request("POST", `/sdk/v1/runs/${waiting.id}/wait-for-event`, wait);
    await landed(strait);

    await strait.db.query(sql`UPDATE leases SET alive = false`);
    const run = await trigger(strait, job);
    await strait.request("POST", "/v1/events/k/send", { body: { payload: 1 } });
    await strait.tick("dispatch-runs");

    expect(run.status).toBe("queued");
    expect((await readRun(strait, waiting.id)).status).toBe("queued");
    expect((await rowsOf(strait, "run_queue")).sort()).toEqual([waiting.id, run.id].sort());
    expect(strait.server.dispatcher.room).toBe(4);
    expect(executor.dispatches).toHaveLength(1);
  });
});

describe("Q1 the queue holds only what is ready", () => {
  test("an entry is deleted by the claim, and a delayed run has none until it is due", async () => {
    const strait = await startServer({ runsEngine: false });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const scheduled_at = new Date(strait.server.context.clock.nowMs() + HOUR_MS).toISOString();

    const ready = await trigger(strait, job);
    const delayed = await trigger(strait, job, { scheduled_at });
    expect(await rowsOf(strait, "run_queue")).toEqual([ready.id]);
    expect(await rowsOf(strait, "run_schedule")).toEqual([delayed.id]);
    await strait.tick();
    expect(await rowsOf(strait, "run_queue")).toEqual([]);
    await strait.advance(HOUR_MS);
    await strait.tick("dispatch-runs");

    await runIs(strait, delayed.id, "completed");
    expect(await rowsOf(strait, "run_schedule")).toEqual([]);
    expect(await rowsOf(strait, "run_queue")).toEqual([]);
    expect(await historyOf(strait, delayed.id)).toEqual(["delayed", "queued", "executing", "completed"]);
  });

  test("a run that backs off is scheduled, not queued", async () => {
    const strait = await startQuiet({ WORKER_CONCURRENCY: "4" });
    const executor = await startExecutor(({ headers }) => ({ status: headers["x-attempt"] === "1" ? 500 : 200 }));
    const job = { retry_strategy: "custom", retry_delays_secs: [3_600] };
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url, ...job }));

    await runIs(strait, run.id, "queued");
    expect(await rowsOf(strait, "run_queue")).toEqual([]);
    expect(await rowsOf(strait, "run_schedule")).toEqual([run.id]);
    await strait.advance(1.2 * HOUR_MS);
    await strait.tick("dispatch-runs");

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ attempt: 2, dispatch_seq: 2 });
  });

  test("the entry of a run that has moved on is dropped by the claim, and holds up nobody", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: "4" } });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const stale = await triggerMany(strait, job, 40);
    for (const id of stale) expect((await strait.request("DELETE", `/v1/runs/${id}`)).status).toBe(200);
    const run = await trigger(strait, job);
    expect(await rowsOf(strait, "run_queue")).toHaveLength(41);

    await strait.tick("dispatch-runs");

    await runIs(strait, run.id, "completed");
    expect(executor.dispatches.map(({ runId }) => runId)).toEqual([run.id]);
    expect(await rowsOf(strait, "run_queue")).toEqual([]);
    expect(await historyOf(strait, stale[0] ?? "")).toEqual(["queued", "canceled"]);
  });

  test("two processes that claim at once never take the same run", async () => {
    const strait = await startServer({ runsEngine: false });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const second = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });
    const ids = await triggerMany(strait, job, 200);

    await Promise.all([strait.tick("dispatch-runs"), second.tick("dispatch-runs")]);
    await Promise.all([strait.tick("dispatch-runs"), second.tick("dispatch-runs")]);

    await Promise.all([landed(strait), landed(second)]);
    expect(executor.dispatches.map(({ runId }) => runId).sort()).toEqual([...ids].sort());
  });
});

describe("Q9 a bulk is one set of statements", () => {
  test("500 runs take as many statements as two", async () => {
    const strait = await startServer({ runsEngine: false });
    const job = await givenJob(strait);
    await triggerMany(strait, job, 1);
    const statements = recordStatements();

    await triggerMany(strait, job, 2);
    const forTwo = statements.splice(0).length;
    await triggerMany(strait, job, 500);

    expect(statements).toHaveLength(forTwo);
    expect(forTwo).toBeLessThan(8);
  });
});
