import { describe, expect, onTestFinished, test } from "vitest";
import { openSession } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { givenJob, historyOf, readRun, runIs, trigger, triggerMany } from "./given.ts";
import {
  type Executor,
  type ExecutorAnswer,
  eventually,
  startExecutor,
  startServer,
  type TestServer,
} from "./server.ts";
import { type RecordedStatement, recordStatements } from "./statements.ts";

const HOUR_MS = 3_600_000;

/** A server whose tasks only run when they are told to, and which knows already that its queue is empty. */
async function startQuiet(concurrency: number): Promise<TestServer> {
  const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: String(concurrency) } });
  await strait.tick("dispatch-runs");
  return strait;
}

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

const landed = (strait: TestServer) => eventually(async () => strait.server.dispatcher.inFlight === 0);

/** Another project with a job, whose dispatches are told apart by their path. */
async function givenTenant(strait: TestServer, executor: Executor, name: string, count: number): Promise<string> {
  const { apiKey: token, projectId } = await strait.anotherProject();
  const job = { name, slug: name, endpoint_url: `${executor.url}/${name}` };
  expect((await strait.request("POST", "/v1/jobs", { token, body: job })).status).toBe(201);
  for (let left = count; left > 0; left -= 500) {
    const items = Array.from({ length: Math.min(left, 500) }, () => ({ payload: {} }));
    await strait.request("POST", `/v1/jobs/${name}/trigger/bulk`, { token, body: { items } });
  }
  return projectId;
}

describe("L3 a run is claimed as it is inserted", () => {
  test("while there is room and no backlog, and dispatched after the commit", async () => {
    const strait = await startQuiet(4);
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
    const strait = await startQuiet(4);
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
    const strait = await startQuiet(8);
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
    const strait = await startQuiet(4);
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
    const strait = await startQuiet(4);
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
    const strait = await startQuiet(4);
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

describe("Q3 the queue is fair", () => {
  test.each([8, 1])("projects with 1,000, 10 and 10 runs are served in turn when %i fit at once", async (room) => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: String(room) } });
    const executor = await startExecutor();
    for (const [name, count] of [
      ["a", 1_000],
      ["b", 10],
      ["c", 10],
    ] as const) {
      await givenTenant(strait, executor, name, count);
    }

    while (executor.dispatches.length < 30) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    const served = executor.dispatches.slice(0, 30).map(({ path }) => path.slice(1));
    for (let turn = 0; turn < 30; turn += 3) expect(served.slice(turn, turn + 3).sort()).toEqual(["a", "b", "c"]);
  });

  test("a claim starts behind the project that was served last", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: "1" } });
    const executor = await startExecutor();
    for (const name of ["a", "b", "c"]) await givenTenant(strait, executor, name, 2);

    for (let n = 0; n < 6; n++) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    expect(executor.dispatches.map(({ path }) => path)).toEqual(["/a", "/b", "/c", "/a", "/b", "/c"]);
  });

  test("a point of priority is worth an hour of age, so that nothing waits for ever", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: "1" } });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const aged = { payload: "aged" };
    const old = await trigger(strait, job, aged);
    const older = await trigger(strait, job, aged);
    await strait.db.query(
      sql`UPDATE run_queue SET ready_at = ready_at - interval '59 minutes' WHERE run_id = ${old.id}`,
    );
    await strait.db.query(
      sql`UPDATE run_queue SET ready_at = ready_at - interval '61 minutes' WHERE run_id = ${older.id}`,
    );
    const urgent = await trigger(strait, job, { priority: 1 });

    while (executor.dispatches.length < 3) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    expect(executor.dispatches.map(({ runId }) => runId)).toEqual([older.id, urgent.id, old.id]);
  });

  test("a claim reads from the floor of its pair: dead entries that a held snapshot keeps cost it nothing", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_CONCURRENCY: "100" } });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    for (let n = 0; n < 4; n++) await triggerMany(strait, job, 500);
    await strait.db.query(
      sql`UPDATE run_queue SET ready_at = ready_at - interval '1 day' + seq * interval '10 seconds'`,
    );
    await strait.db.query(sql`VACUUM run_queue`);
    const reader = await openSession(strait.databaseUrl, "test");
    onTestFinished(() => reader.close());
    await reader.query(sql`BEGIN ISOLATION LEVEL REPEATABLE READ`);
    await reader.query(sql`SELECT count(*) FROM run_queue`);
    const statements = recordStatements();

    for (let n = 0; n < 20; n++) {
      await strait.server.engine.tasks.get("dispatch-runs")?.tick();
      await landed(strait);
    }

    expect(executor.dispatches.length).toBeGreaterThan(1_000);
    const claims = statements.filter(({ text }) => text.includes("DELETE FROM run_queue"));
    const claim = claims.findLast(({ values }) => floorOf(values) !== EPOCH);
    if (!claim) throw new Error("no claim had a floor");
    const withoutFloor = { ...claim, values: claim.values.map((value) => (isFloors(value) ? [EPOCH] : value)) };
    const cost = await blocksRead(strait, claim);
    expect(cost).toBeGreaterThan(0);
    expect(await blocksRead(strait, withoutFloor)).toBeGreaterThan(3 * cost);
  });
});

const EPOCH = "1970-01-01T00:00:00Z";
const isFloors = (value: unknown): value is string[] => Array.isArray(value) && /^\d{4}-/.test(value[0]);
const floorOf = (values: readonly unknown[]) => values.find(isFloors)?.[0];

/** Pages of the queue and its index that the claim looks at for its heads, dead entries included. */
async function blocksRead(strait: TestServer, claim: RecordedStatement): Promise<number> {
  const session = await openSession(strait.databaseUrl, "test");
  try {
    await session.query(sql`BEGIN`);
    await session.query(sql`SET LOCAL enable_seqscan = off`);
    const [row] = await session.query<{ "QUERY PLAN": [{ Plan: Plan }] }>({
      text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${claim.text}`,
      values: claim.values,
    });
    return row ? blocksOf(row["QUERY PLAN"][0].Plan) : 0;
  } finally {
    await session.query(sql`ROLLBACK`);
    await session.close();
  }
}

interface Plan {
  readonly "Node Type": string;
  readonly "Subplan Name"?: string;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly Plan[];
}

/** What the scan below the step `head` of the claim has read. */
function blocksOf(plan: Plan, isHead = false): number {
  const isBelow = isHead || plan["Subplan Name"] === "CTE head";
  const isScan = isBelow && plan["Node Type"].startsWith("Index");
  const own = isScan ? plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] : 0;
  return own + (plan.Plans ?? []).reduce((sum, child) => sum + blocksOf(child, isBelow), 0);
}

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
