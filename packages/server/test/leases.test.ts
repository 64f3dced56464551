import { describe, expect, onTestFinished, test } from "vitest";
import { LeaseKeeper } from "../src/engine/lease-keeper.ts";
import * as leases from "../src/store/leases.ts";
import { openSession } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { blockedSessions, givenJob, historyOf, landed, readRun, runIs, trigger } from "./given.ts";
import { type ExecutorAnswer, eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { hold } from "./stage.ts";

/** An executor that answers nothing before the test has ended. */
async function startSilentExecutor() {
  let answer: (answer: ExecutorAnswer) => void = () => {};
  const answered = new Promise<ExecutorAnswer>((resolve) => {
    answer = resolve;
  });
  onTestFinished(() => answer({ status: 202 }));
  const executor = await startExecutor(() => answered);
  return { ...executor, answer };
}

async function startWorker(beside?: TestServer, env: Record<string, string> = {}): Promise<TestServer> {
  const databaseUrl = beside === undefined ? {} : { databaseUrl: beside.databaseUrl };
  const strait = await startServer({
    runsEngine: false,
    ...databaseUrl,
    env: { WORKER_DRAIN_TIMEOUT: "100ms", ...env },
  });
  if (beside === undefined) await strait.tick("dispatch-runs");
  return strait;
}

/** What becomes of a worker that was killed: nobody renews its lease. */
async function loseWorkers(strait: TestServer, observer: TestServer): Promise<void> {
  await strait.db.query(sql`
    UPDATE leases SET expires_at = strait_now() WHERE id IN (SELECT lease_id FROM runs WHERE status = 'executing')`);
  await observer.tick("rescue-runs");
}

const leaseOf = async (strait: TestServer) => {
  const [row] = await strait.db.query<{ id: number }>(sql`SELECT max(id) AS id FROM leases`);
  return row?.id ?? 0;
};

describe("a run that is lost with its worker", () => {
  test("is dispatched again, which costs it no attempt", async () => {
    const strait = await startWorker();
    const executor = await startSilentExecutor();
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);
    const other = await startWorker(strait);

    await loseWorkers(strait, other);
    expect(await readRun(strait, run.id)).toMatchObject({ status: "queued", attempt: 1, error: null });
    await other.tick("dispatch-runs");

    const [, again] = await executor.received(2);
    expect(again?.headers).toMatchObject({ "x-attempt": "1", "x-dispatch": "2", "x-resume-reason": "lost" });
  });

  test("three times at most: the fourth time it has crashed", async () => {
    const strait = await startWorker();
    const executor = await startSilentExecutor();
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));

    for (let lost = 1; lost <= 4; lost++) {
      const next = await startWorker(strait);
      await executor.received(lost);
      await loseWorkers(strait, next);
      await next.tick("dispatch-runs");
    }

    expect(await readRun(strait, run.id)).toMatchObject({
      status: "crashed",
      attempt: 1,
      dispatch_seq: 4,
      error_class: "lost",
      error: "the worker was lost 4 times",
    });
  });

  test("has crashed at once when its job says so", async () => {
    const strait = await startWorker();
    const executor = await startSilentExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url, on_worker_lost: "crash" });
    const run = await trigger(strait, job);
    await executor.received(1);

    await loseWorkers(strait, await startWorker(strait));

    expect(await readRun(strait, run.id)).toMatchObject({ status: "crashed", error_class: "lost" });
  });

  test("is left alone when it goes on by itself: its deadline watches it", async () => {
    const strait = await startWorker();
    const executor = await startExecutor(() => ({ status: 202 }));
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);
    await landed(strait);

    await loseWorkers(strait, await startWorker(strait));

    expect((await readRun(strait, run.id)).status).toBe("executing");
  });

  test("invariant 4: is rescued once by two processes that notice at once", async () => {
    const strait = await startWorker();
    const executor = await startSilentExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const runs = await Promise.all(Array.from({ length: 10 }, () => trigger(strait, job)));
    await executor.received(10);
    const observers = [await startWorker(strait), await startWorker(strait)];
    await strait.db.query(sql`UPDATE leases SET expires_at = strait_now() WHERE id = (SELECT min(id) FROM leases)`);

    await Promise.all(observers.map((observer) => observer.tick("rescue-runs")));

    for (const { id } of runs) expect(await historyOf(strait, id)).toEqual(["executing", "queued"]);
  });

  test("is looked for until two sweeps have found nothing", async () => {
    const strait = await startWorker();
    const other = await startWorker(strait);
    const lease = await leaseOf(other);
    await strait.db.query(sql`UPDATE leases SET alive = false WHERE id = ${lease}`);
    const sweepable = async () => (await leases.toSweep(strait.db, 10)).map(({ id }) => id);

    expect(await sweepable()).toEqual([lease]);
    await strait.server.engine.tasks.get("rescue-runs")?.tick();
    expect(await sweepable()).toEqual([lease]);
    await strait.server.engine.tasks.get("rescue-runs")?.tick();

    expect(await sweepable()).toEqual([]);
  });
});

describe("the verdict that a worker is dead", () => {
  test("passes over a lease while a transaction claims on it, and comes behind it", async () => {
    const strait = await startWorker();
    const lease = await leaseOf(strait);
    await strait.db.query(sql`UPDATE leases SET expires_at = strait_now()`);
    const claim = await hold(strait, sql`SELECT 1 FROM leases WHERE id = ${lease} AND alive FOR KEY SHARE`);

    expect(await leases.bury(strait.db)).toEqual([]);
    await claim.release();

    expect(await leases.bury(strait.db)).toEqual([{ id: lease }]);
  });

  test.each(["at insert", "from the queue"])(
    "comes first: a claim %s that waited for it takes nothing",
    async (where) => {
      const strait = await startWorker();
      const executor = await startExecutor();
      const job = await givenJob(strait, { endpoint_url: executor.url });
      strait.server.dispatcher.backlog = where === "from the queue";
      const queued = where === "from the queue" ? await trigger(strait, job) : undefined;
      const verdict = await hold(strait, sql`SELECT 1 FROM leases FOR UPDATE`);
      await verdict.query(sql`UPDATE leases SET alive = false`);

      const claiming = queued === undefined ? trigger(strait, job) : strait.tick("dispatch-runs").then(() => queued);
      await eventually(async () => (await blockedSessions(strait)) === 1);
      await verdict.release();

      const run = await claiming;
      expect(await readRun(strait, run.id)).toMatchObject({ status: "queued", dispatch_seq: 0 });
      expect(executor.dispatches).toEqual([]);
    },
  );
});

describe("the life of a worker", () => {
  const DURATION_MS = 60_000;

  /** A life whose clock and whose connection are the test's. */
  async function startLife() {
    const strait = await startWorker();
    const session = await openSession(strait.databaseUrl, "test");
    const life = { nowMs: 0, isConnected: true, lost: 0, peers: false };
    const keeper = new LeaseKeeper({
      db: {
        query: (statement) =>
          life.isConnected ? session.query(statement) : Promise.reject(new Error("the connection is down")),
      },
      process: "test",
      durationMs: DURATION_MS,
      heartbeatMs: DURATION_MS / 6,
      onPeers: (present) => {
        life.peers = present;
      },
      onLost: () => {
        life.lost++;
      },
      onError: () => {},
      monotonicMs: () => life.nowMs,
    });
    await keeper.open();
    onTestFinished(async () => {
      await keeper.close();
      await session.close();
    });
    return { strait, keeper, life };
  }

  test("claims nothing when half of the lease has passed without a confirmed heartbeat", async () => {
    const { keeper, life } = await startLife();
    const lease = keeper.claimable;

    life.nowMs = 0.49 * DURATION_MS;
    expect(keeper.claimable).toBe(lease);
    life.nowMs = 0.5 * DURATION_MS;
    expect(keeper.claimable).toBeNull();
    await keeper.beat();

    expect(keeper.claimable).toBe(lease);
    expect(life.lost).toBe(0);
  });

  test("aborts its calls when four fifths have passed, and begins anew when it can", async () => {
    const { keeper, life } = await startLife();
    const first = keeper.claimable;
    life.isConnected = false;

    life.nowMs = 0.79 * DURATION_MS;
    await keeper.beat();
    expect(life.lost).toBe(0);
    life.nowMs = 0.81 * DURATION_MS;
    await keeper.beat();
    expect(life.lost).toBe(1);
    expect(keeper.claimable).toBeNull();
    life.isConnected = true;

    const second = await eventually(async () => keeper.claimable ?? undefined);
    expect(second).not.toBe(first);
  });

  test("is over when its heartbeat is refused: somebody has declared it dead", async () => {
    const { strait, keeper, life } = await startLife();
    const first = keeper.claimable;
    await strait.db.query(sql`UPDATE leases SET alive = false WHERE id = ${first}`);

    await keeper.beat();

    expect(life.lost).toBe(1);
    const second = await eventually(async () => keeper.claimable ?? undefined);
    expect(second).not.toBe(first);
  });

  test("knows by its heartbeat whether others live on the database", async () => {
    const { strait, keeper, life } = await startLife();
    await keeper.beat();
    expect(life.peers).toBe(true);

    await strait.close();
    await keeper.beat();

    expect(life.peers).toBe(false);
  });

  test("goes on under a new lease every 50,000 claims, and keeps the old one as long as it executes something", async () => {
    const { strait, keeper } = await startLife();
    const first = keeper.claimable ?? 0;
    const job = await givenJob(strait);
    const run = await trigger(strait, job, { scheduled_at: "2100-01-01T00:00:00Z" });
    await strait.db.query(sql`UPDATE runs SET status = 'executing', lease_id = ${first} WHERE id = ${run.id}`);

    keeper.claimed(50_000);
    await keeper.beat();
    const second = keeper.claimable;
    expect(keeper.held).toEqual([first, second]);
    await strait.db.query(sql`UPDATE runs SET status = 'completed', finished_at = strait_now() WHERE id = ${run.id}`);
    keeper.claimed(50_000);
    await keeper.beat();

    expect(keeper.held).toEqual([keeper.claimable]);
  });
});

describe("a worker compares what it executes with what the database says", () => {
  test("and puts back a run that it never heard of, when it has seen it twice", async () => {
    const strait = await startWorker();
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const run = await trigger(strait, job, { scheduled_at: "2100-01-01T00:00:00Z" });
    await strait.db.query(sql`DELETE FROM run_schedule`);
    await strait.db.query(
      sql`UPDATE runs SET status = 'executing', dispatch_seq = 1, lease_id = ${await leaseOf(strait)} WHERE id = ${run.id}`,
    );

    await strait.tick("find-strays");
    expect((await readRun(strait, run.id)).status).toBe("executing");
    await strait.tick("find-strays");
    expect(await readRun(strait, run.id)).toMatchObject({ status: "queued", attempt: 1 });
    await strait.tick("dispatch-runs");

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ dispatch_seq: 2 });
  });

  test("and leaves alone what it does execute", async () => {
    const strait = await startWorker();
    const executor = await startSilentExecutor();
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);

    for (let n = 0; n < 3; n++) await strait.tick("find-strays");

    expect(await historyOf(strait, run.id)).toEqual(["executing"]);
    expect(strait.server.dispatcher.inFlight).toBe(1);
  });

  test("and aborts the call of a run that another process has ended", async () => {
    const strait = await startWorker();
    const executor = await startSilentExecutor();
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);
    await strait.db.query(sql`UPDATE runs SET status = 'canceled', finished_at = strait_now() WHERE id = ${run.id}`);

    await strait.tick("find-strays");

    await landed(strait);
    expect((await readRun(strait, run.id)).status).toBe("canceled");
  });
});

describe("a worker that drains", () => {
  test("lets the calls under way finish, and claims nothing new", async () => {
    const strait = await startWorker(undefined, { WORKER_DRAIN_TIMEOUT: "10s" });
    const observer = await startWorker(strait);
    const executor = await startSilentExecutor();
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);

    const closing = strait.close();
    await eventually(async () => strait.server.dispatcher.room === 0);
    executor.answer({ body: "finished" });
    await closing;

    const history = await historyOf(observer, run.id);
    expect(history).toEqual(["executing", "completed"]);
    expect(await observer.db.query(sql`SELECT alive FROM leases ORDER BY id`)).toEqual([
      { alive: false },
      { alive: true },
    ]);
  });

  test("puts back what does not finish in time, for another one to take", async () => {
    const strait = await startWorker(undefined, { WORKER_DRAIN_TIMEOUT: "50ms" });
    const other = await startWorker(strait);
    const executor = await startSilentExecutor();
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);

    await strait.close();
    await other.tick("dispatch-runs");

    const [, again] = await executor.received(2);
    expect(again?.headers).toMatchObject({ "x-attempt": "1", "x-dispatch": "2" });
    expect(await historyOf(other, run.id)).toEqual(["executing", "queued", "executing"]);
  });
});
