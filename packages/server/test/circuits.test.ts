import { describe, expect, test } from "vitest";
import * as circuits from "../src/store/circuits.ts";
import { sql } from "../src/store/sql.ts";
import { givenJob, historyOf, readRun, runIs, trigger } from "./given.ts";
import { type Executor, eventually, startExecutor, startServer, type TestServer } from "./server.ts";

const OPEN_MS = 60_000;

interface World {
  readonly strait: TestServer;
  readonly executor: Executor;
  readonly jobId: string;
  /** What the endpoint answers from now on. */
  answer(status: number): void;
  run(): Promise<string>;
}

async function startWorld(): Promise<World> {
  const strait = await startServer({ runsEngine: false });
  await strait.tick("dispatch-runs");
  let status = 500;
  const executor = await startExecutor(() => ({ status }));
  const jobId = await givenJob(strait, { endpoint_url: executor.url, max_attempts: 1 });
  return {
    strait,
    executor,
    jobId,
    answer: (next) => {
      status = next;
    },
    async run() {
      const { id } = await trigger(strait, jobId);
      await landed(strait);
      return id;
    },
  };
}

/** Until every call has ended and its circuit has been written. */
async function landed({ server }: TestServer): Promise<void> {
  await eventually(async () => server.dispatcher.inFlight === 0);
  const reports = server.engine.tasks.get("refresh-circuits") as unknown as { idle(): Promise<void> };
  await reports.idle();
}

async function openedBy(world: World, failures: number): Promise<void> {
  for (let n = 0; n < failures; n++) await runIs(world.strait, await world.run(), "dead_letter");
}

async function afterWhile(strait: TestServer, ms: number): Promise<void> {
  await strait.advance(ms);
  await strait.tick("dispatch-runs");
  await landed(strait);
}

describe("the circuit of an endpoint", () => {
  test("opens after five failures in a row: a run is then put off, which costs it no attempt, and its log says why", async () => {
    const world = await startWorld();
    const { strait, executor } = world;
    await openedBy(world, 5);

    const id = await world.run();

    expect(executor.dispatches).toHaveLength(5);
    expect(await readRun(strait, id)).toMatchObject({ status: "queued", attempt: 1, error: null });
    expect(await historyOf(strait, id)).toEqual(["executing", "queued"]);
    const { body: log } = await strait.request("GET", `/v1/runs/${id}/events`);
    expect(log.data.map(({ message }: { message: string | null }) => message)).toEqual([
      null,
      expect.stringContaining("put off: the last calls to the job's endpoint have all failed"),
    ]);
    const [row] = await strait.db.query<{ secs: number }>(sql`
      SELECT extract(epoch FROM next_retry_at - strait_now())::float8 AS secs FROM runs WHERE id = ${id}`);
    expect(row?.secs).toBeGreaterThan(50);
    expect(row?.secs).toBeLessThanOrEqual(60);
  });

  test("opens as well when the first five failures are told of at once", async () => {
    const { strait, executor, run } = await startWorld();
    const endpoint = { project_id: strait.projectId, endpoint: executor.url };

    const four = await circuits.recordFailures(strait.db, Array(4).fill({ ...endpoint, endpoint: "http://other/" }));
    const five = await circuits.recordFailures(strait.db, Array(5).fill(endpoint));
    await strait.tick("refresh-circuits");
    await run();

    expect(four).toMatchObject([{ wait_ms: null }]);
    expect(five).toMatchObject([{ ...endpoint, wait_ms: OPEN_MS }]);
    expect(executor.dispatches).toEqual([]);
  });

  test("is closed by a success in between, and does not count what is the request's fault", async () => {
    const world = await startWorld();
    await openedBy(world, 4);
    world.answer(200);
    await runIs(world.strait, await world.run(), "completed");
    world.answer(500);
    await openedBy(world, 4);
    world.answer(404);

    for (let n = 0; n < 6; n++) await runIs(world.strait, await world.run(), "failed");

    expect(world.executor.dispatches).toHaveLength(15);
  });

  test("lets a probe through after a minute; a success closes it", async () => {
    const world = await startWorld();
    const { strait, executor } = world;
    await openedBy(world, 5);
    const id = await world.run();
    world.answer(200);

    await afterWhile(strait, OPEN_MS + 1_000);

    expect(await runIs(strait, id, "completed")).toMatchObject({ attempt: 1, dispatch_seq: 2 });
    expect(executor.dispatches).toHaveLength(6);
    await runIs(strait, await world.run(), "completed");
  });

  test("lets one probe through, not everybody who waits; a failure opens it for another minute", async () => {
    const world = await startWorld();
    const { strait, executor } = world;
    await openedBy(world, 5);
    const waiting = [await world.run(), await world.run(), await world.run()];

    await afterWhile(strait, OPEN_MS + 1_000);
    expect(executor.dispatches).toHaveLength(6);
    const statuses = await Promise.all(waiting.map(async (id) => (await readRun(strait, id)).status));
    expect(statuses.sort()).toEqual(["dead_letter", "queued", "queued"]);
    await afterWhile(strait, OPEN_MS / 2);
    expect(executor.dispatches).toHaveLength(6);
    world.answer(200);
    await afterWhile(strait, OPEN_MS);
    await afterWhile(strait, OPEN_MS);

    expect(executor.dispatches.length).toBe(8);
  });

  test("is of one project: another one's calls to the same endpoint pass", async () => {
    const world = await startWorld();
    const { strait, executor } = world;
    await openedBy(world, 5);
    const { apiKey: token } = await strait.anotherProject();
    const job = { name: "j", slug: "j", endpoint_url: executor.url };
    await strait.request("POST", "/v1/jobs", { token, body: job });

    await strait.request("POST", "/v1/jobs/j/trigger", { token, body: {} });

    await executor.received(6);
  });

  test("gives a run up as a failure of the system after fifty times", async () => {
    const world = await startWorld();
    const { strait } = world;
    await openedBy(world, 5);
    const id = await world.run();
    await strait.db.query(sql`UPDATE runs SET snooze_count = 50 WHERE id = ${id}`);
    await strait.db.query(sql`UPDATE endpoint_circuits SET open_until = strait_now() + interval '1 hour'`);

    await afterWhile(strait, OPEN_MS + 1_000);

    expect(await readRun(strait, id)).toMatchObject({ status: "system_failed", attempt: 1, error_class: "connection" });
  });

  test("is known to every process", async () => {
    const world = await startWorld();
    const { strait, executor, jobId } = world;
    await openedBy(world, 5);
    const second = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });

    for (const task of ["refresh-circuits", "dispatch-runs"]) await second.tick(task);
    await strait.db.query(sql`UPDATE leases SET alive = false WHERE id = (SELECT min(id) FROM leases)`);
    const run = await trigger(strait, jobId);
    await second.tick("dispatch-runs");
    await landed(second);

    expect(executor.dispatches).toHaveLength(5);
    expect((await readRun(strait, run.id)).dispatch_seq).toBe(1);
  });
});
