import { describe, expect, test } from "vitest";
import { enqueueRunLane, type RunRequest } from "../src/service/enqueue-run.ts";
import { finishRunLane, type RunOutcome } from "../src/service/finish-run.ts";
import { sendEventLane } from "../src/service/send-event.ts";
import type { SendEvent } from "../src/service/sending.ts";
import * as jobs from "../src/store/jobs.ts";
import { sql } from "../src/store/sql.ts";
import { freshDatabase } from "./database.ts";
import { startDatabaseProxy } from "./database-proxy.ts";
import { givenJob, historyOf, readRun, runIs, trigger } from "./given.ts";
import { eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { besides, hold, waitForEvent } from "./stage.ts";

/** What PostgreSQL refuses in any text, whatever the column. */
const BAD = "a\0b";

interface World {
  readonly strait: TestServer;
  readonly environmentId: string;
  readonly jobId: string;
  /** Runs that execute, and whose executor says nothing more. */
  executing(count: number): Promise<{ id: string; token: string }[]>;
}

async function startWorld(databaseUrl?: string): Promise<World> {
  const strait = await startServer({ runsEngine: false, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
  await strait.tick("dispatch-runs");
  const executor = await startExecutor(() => ({ status: 202 }));
  const jobId = await givenJob(strait, { endpoint_url: executor.url });
  const [project] = await strait.db.query<{ id: string }>(
    sql`SELECT default_environment_id AS id FROM projects WHERE id = ${strait.projectId}`,
  );
  return {
    strait,
    jobId,
    environmentId: project?.id ?? "",
    executing: (count) => Promise.all(Array.from({ length: count }, () => trigger(strait, jobId))),
  };
}

async function requestOf(
  { strait, jobId, environmentId }: World,
  change: Partial<RunRequest> = {},
): Promise<RunRequest> {
  const job = await jobs.find(strait.db, strait.projectId, jobId);
  if (!job) throw new Error("there is no job");
  const plain = { scheduled_at: null, priority: 0, ttl_secs: null, batch_id: null, idempotency_key: null };
  return { job, environmentId, payload: {}, tags: {}, ...plain, triggered_by: "manual", actor: "test", ...change };
}

function completion(strait: TestServer, id: string, change: Partial<RunOutcome> = {}): RunOutcome {
  return { project_id: strait.projectId, id, dispatch_seq: 1, move: "complete", result: "1", ...change };
}

function sendOf({ strait, environmentId }: World, event_key: string, change: Partial<SendEvent> = {}): SendEvent {
  return {
    project_id: strait.projectId,
    environment_id: environmentId,
    event_key,
    payload: { to: event_key },
    if_no_waiter: "buffer",
    for_next: false,
    generation: null,
    trigger_id: null,
    ttl_secs: 60,
    actor: "test",
    channel: "api",
    idempotency: null,
    ...change,
  };
}

/** What became of the items of a batch, in one word each. */
async function fates<Answer>(answers: Promise<Answer>[], word: (answer: Answer) => string): Promise<string[]> {
  const settled = await Promise.allSettled(answers);
  return settled.map((answer) =>
    answer.status === "fulfilled" ? word(answer.value) : String((answer.reason as { code?: string }).code),
  );
}

const count = async (strait: TestServer, table: string) => {
  const [row] = await strait.db.query<{ n: number }>({ text: `SELECT count(*)::int AS n FROM ${table}`, values: [] });
  return row?.n;
};

describe("L2 good and bad items in one batch", () => {
  test("of enqueuing: a bad value, a time that is none, and one that a unique index refuses fail alone", async () => {
    const world = await startWorld();
    const { strait } = world;
    await strait.db.query(sql`CREATE UNIQUE INDEX one_batch ON runs (batch_id)`);
    const lane = enqueueRunLane(strait.server.context);
    const requests = await Promise.all([
      requestOf(world, { batch_id: "mine" }),
      requestOf(world, { priority: 2 ** 40 }),
      requestOf(world, { scheduled_at: "at noon" }),
      requestOf(world, { actor: BAD }),
      requestOf(world),
      requestOf(world, { batch_id: "mine" }),
    ]);

    const answers = await fates(
      requests.map((request) => lane.add(request)),
      (run) => run.status,
    );

    expect(answers).toEqual(["executing", "22003", "22007", "22021", "executing", "23505"]);
    expect(await count(strait, "runs")).toBe(2);
    expect(await count(strait, "changes")).toBeGreaterThanOrEqual(2);
  });

  test("of finishing: the others end, the culprit executes on", async () => {
    const world = await startWorld();
    const [first, bad, third, late, fourth] = await world.executing(5);
    const lane = finishRunLane(world.strait.server.context);
    const { strait } = world;

    const answers = await fates(
      [
        lane.add(completion(strait, first?.id ?? "")),
        lane.add(completion(strait, bad?.id ?? "", { move: "fail", error: BAD })),
        lane.add(completion(strait, third?.id ?? "", { move: "retry", error: "again", delay_ms: 1_000 })),
        lane.add(completion(strait, late?.id ?? "", { dispatch_seq: 7 })),
        lane.add(completion(strait, fourth?.id ?? "", { move: "retry", delay_ms: 1e300 })),
      ],
      (result) => result,
    );

    expect([answers[1], answers[3], answers[4]]).toEqual(["22021", "refused", "22008"]);
    const statuses = await Promise.all([first, bad, third, late, fourth].map((run) => readRun(strait, run?.id ?? "")));
    expect(statuses.map(({ status }) => status)).toEqual([
      "completed",
      "executing",
      "queued",
      "executing",
      "executing",
    ]);
  });

  test("of sending: what was delivered stays delivered and is answered so, whoever fails beside it", async () => {
    const world = await startWorld();
    const { strait } = world;
    for (const [index, run] of (await world.executing(3)).entries()) await waitForEvent(strait, run, `wait-${index}`);
    const lane = sendEventLane(strait.server.context);

    const answers = await fates(
      [
        lane.add(sendOf(world, "wait-0")),
        lane.add(sendOf(world, "early", { ttl_secs: 2 ** 40 })),
        lane.add(sendOf(world, "wait-1")),
        lane.add(sendOf(world, "early-too")),
        lane.add(sendOf(world, `wait-2${BAD}`)),
        lane.add(sendOf(world, "wait-1", { payload: "another" })),
      ],
      ({ body }) => body.disposition,
    );

    expect(answers).toEqual(["delivered", "22003", "delivered", "buffered", "22021", "already_resolved"]);
    expect(
      await strait.db.query(sql`SELECT event_key, disposition FROM events ORDER BY event_key, disposition`),
    ).toEqual([
      { event_key: "early-too", disposition: "buffered" },
      { event_key: "wait-0", disposition: "delivered" },
      { event_key: "wait-1", disposition: "conflict" },
      { event_key: "wait-1", disposition: "delivered" },
    ]);
  });

  test("a batch that PostgreSQL breaks off for a deadlock, or for its serialization, is repeated", async () => {
    const { strait, jobId } = await startWorld();
    await strait.db.query(sql`CREATE SEQUENCE tries`);
    await strait.db.query({
      text: `CREATE FUNCTION fail_at_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        CASE nextval('tries') WHEN 1 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01';
          WHEN 2 THEN RAISE EXCEPTION 'serialization' USING ERRCODE = '40001'; ELSE RETURN NEW; END CASE; END $$`,
      values: [],
    });
    await strait.db.query(
      sql`CREATE TRIGGER fail_at_first BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION fail_at_first()`,
    );

    const run = await trigger(strait, jobId);

    expect(run.status).toBe("executing");
    expect(await historyOf(strait, run.id)).toEqual(["executing"]);
  });
});

describe("L2 two processes", () => {
  test("that handle the same subjects in opposite order never deadlock", async () => {
    const ROUNDS = 12;
    const world = await startWorld();
    const { strait } = world;
    const second = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });
    const [one, other] = [strait.server.context, second.server.context];
    const ends = [finishRunLane(one), finishRunLane(other)] as const;
    const sends = [sendEventLane(one), sendEventLane(other)] as const;
    const starts = [enqueueRunLane(one), enqueueRunLane(other)] as const;

    for (let round = 0; round < ROUNDS; round++) {
      const runs = await world.executing(10);
      const keyed = await Promise.all(
        runs.map((_, index) => requestOf(world, { idempotency_key: `${round}-${index}`, payload: round })),
      );
      const forth = <Item>(items: readonly Item[]) => items;
      const back = <Item>(items: readonly Item[]) => [...items].reverse();
      const work = ([0, 1] as const).flatMap((side) => {
        const order = side === 0 ? forth : back;
        return [
          ...order(runs).map(({ id }) => ends[side].add(completion(strait, id))),
          ...order(runs).map((_, index) => sends[side].add(sendOf(world, `${round}-${side ? 9 - index : index}`))),
          ...order(keyed).map((request) => starts[side].add(request)),
        ];
      });
      await Promise.all<unknown>(work);
      for (const { id } of runs) expect((await historyOf(strait, id)).at(-1)).toBe("completed");
    }

    const [deadlocks] = await strait.db.query(
      sql`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`,
    );
    expect(deadlocks).toEqual({ deadlocks: 0 });
    expect(await count(strait, "run_idempotency")).toBe(10 * ROUNDS);
  });
});

describe("L2 a run whose row somebody holds", () => {
  test("does not hold up the others: not those of its batch, and not those behind it", async () => {
    const world = await startWorld();
    const { strait } = world;
    const [held, beside, behind] = await world.executing(3);
    const lane = finishRunLane(strait.server.context);
    const lock = await hold(strait, sql`SELECT 1 FROM runs WHERE id = ${held?.id} FOR UPDATE`);

    const blocked = lane.add(completion(strait, held?.id ?? ""));
    expect(await lane.add(completion(strait, beside?.id ?? ""))).toBe("moved");
    expect(await lane.add(completion(strait, behind?.id ?? ""))).toBe("moved");
    expect((await readRun(strait, held?.id ?? "")).status).toBe("executing");
    await lock.release();

    expect(await blocked).toBe("moved");
    expect((await readRun(strait, held?.id ?? "")).status).toBe("completed");
    await lane.idle();
  });

  test("is looked at again when it is free: another outcome may have come first", async () => {
    const world = await startWorld();
    const { strait } = world;
    const [canceled, parked] = await world.executing(2);
    const lane = finishRunLane(strait.server.context);
    const cancel = await hold(
      strait,
      sql`UPDATE runs SET status = 'canceled', finished_at = strait_now() WHERE id = ${canceled?.id}`,
    );
    const take = await hold(strait, sql`UPDATE runs SET taken_seq = dispatch_seq WHERE id = ${parked?.id}`);

    const late = lane.add(completion(strait, canceled?.id ?? ""));
    const taken = lane.add(completion(strait, parked?.id ?? "", { unless_taken: true }));
    await cancel.release();
    await take.release();

    expect(await Promise.all([late, taken])).toEqual(["refused", "taken"]);
  });
});

describe("L2 a lost acknowledgement of a commit", () => {
  async function startBehindProxy() {
    const { url } = await freshDatabase();
    const proxy = await startDatabaseProxy(url);
    const world = await startWorld(proxy.url);
    return { ...world, proxy };
  }

  /** The process does not know that it executes the run, and finds out by itself. */
  async function findStrays(strait: TestServer): Promise<void> {
    for (const task of ["find-strays", "find-strays", "dispatch-runs"]) await strait.tick(task);
  }

  test.each([null, "once"])(
    "of an enqueue (key %s): the batch is repeated, and there is one run",
    async (idempotency_key) => {
      const world = await startBehindProxy();
      const { strait, proxy } = world;
      const executor = await startExecutor();
      const job = await givenJob(strait, { endpoint_url: executor.url });
      const lost = proxy.loseAcknowledgementOf("lost-enqueue");

      const { status, body } = await strait.request("POST", `/v1/jobs/${job}/trigger`, {
        body: { payload: "lost-enqueue" },
        headers: idempotency_key === null ? {} : { "idempotency-key": idempotency_key },
      });
      await lost;
      await findStrays(strait);

      expect({ status, hit: body.idempotency_hit }).toEqual({ status: 201, hit: false });
      expect(await runIs(strait, body.id, "completed")).toMatchObject({ attempt: 1, dispatch_seq: 2 });
      expect(executor.dispatches.map(({ runId }) => runId)).toEqual([body.id]);
      expect(await count(strait, "runs")).toBe(1);
    },
  );

  test("of a completion: the run has one end", async () => {
    const { strait, proxy } = await startBehindProxy();
    const executor = await startExecutor(() => ({ body: "lost-completion" }));
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const lost = proxy.loseAcknowledgementOf("lost-completion");

    const run = await trigger(strait, job);
    await lost;
    await eventually(async () => strait.server.dispatcher.inFlight === 0);

    expect(await readRun(strait, run.id)).toMatchObject({ status: "completed", result: "lost-completion" });
    expect(await historyOf(strait, run.id)).toEqual(["executing", "completed"]);
  });

  test("of a failure: the run has lost one attempt", async () => {
    const { strait, proxy } = await startBehindProxy();
    const executor = await startExecutor(() => ({ status: 500, body: "lost-failure" }));
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const lost = proxy.loseAcknowledgementOf("lost-failure");

    const run = await trigger(strait, job);
    await lost;
    await eventually(async () => strait.server.dispatcher.inFlight === 0);

    expect(await readRun(strait, run.id)).toMatchObject({ status: "queued", attempt: 2 });
    expect(await historyOf(strait, run.id)).toEqual(["executing", "queued"]);
    expect(await count(strait, "run_schedule")).toBe(1);
  });

  test("of a send: the event is delivered once, and answered as delivered", async () => {
    const { strait, proxy, executing } = await startBehindProxy();
    const [run] = await executing(1);
    if (run) await waitForEvent(strait, run, "k");
    const lost = proxy.loseAcknowledgementOf("lost-send");

    const sent = await strait.request("POST", "/v1/events/k/send", { body: { payload: "lost-send" } });
    await lost;
    await findStrays(strait);

    expect(sent).toMatchObject({ status: 200, body: { disposition: "delivered", response_payload: "lost-send" } });
    expect(await count(strait, "events")).toBe(1);
    const history = await historyOf(strait, run?.id ?? "");
    expect(history).toEqual(["executing", "waiting", "executing", "queued", "executing"]);
  });

  test.each([
    ["a duplicate", "first", { status: 200, body: { disposition: "duplicate" } }],
    ["a conflict", "lost-conflict", { status: 409, body: { error: { code: "already_resolved" } } }],
  ])("of %s: it is answered as what it was", async (_, payload, expected) => {
    const { strait, proxy, executing } = await startBehindProxy();
    const [run] = await executing(1);
    if (run) await waitForEvent(strait, run, "k");
    await strait.request("POST", "/v1/events/k/send", { body: { payload: "first" } });
    const lost = proxy.loseAcknowledgementOf(payload, 1);

    const sent = await strait.request("POST", "/v1/events/k/send", { body: { payload } });
    await lost;

    expect(sent).toMatchObject(expected);
    expect(await count(strait, "events")).toBe(2);
  });

  test("of a buffered event: it is kept once", async () => {
    const { strait, proxy } = await startBehindProxy();
    const lost = proxy.loseAcknowledgementOf("lost-early", 1);

    const body = { payload: "lost-early", if_no_waiter: "buffer" };
    const sent = await strait.request("POST", "/v1/events/k/send", { body });
    await lost;

    expect(sent).toMatchObject({ status: 202, body: { disposition: "buffered" } });
    expect(await count(strait, "events")).toBe(1);
  });

  test("of a send: a wait that was opened in between does not get the event as well", async () => {
    const { strait, proxy, executing } = await startBehindProxy();
    const [first, second] = await executing(2);
    const direct = besides(strait, await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl }));
    if (first) await waitForEvent(strait, first, "k");
    const key = await hold(strait, sql`SELECT 1 FROM event_keys FOR UPDATE`);
    const opening = second && waitForEvent(direct, second, "k");
    await eventually(async () => (await blockedSessions(strait)) === 1);
    const lost = proxy.loseAcknowledgementOf("lost-send");

    const sending = strait.request("POST", "/v1/events/k/send", { body: { payload: "lost-send" } });
    await lost;
    await eventually(async () => (await blockedSessions(strait)) === 2);
    await key.release();

    expect(await sending).toMatchObject({ status: 200, body: { disposition: "delivered", generation: 1 } });
    expect(await opening).toMatchObject({ status: 200, body: { status: "waiting", generation: 2 } });
    expect((await strait.request("GET", "/v1/events/k")).body).toMatchObject({ status: "waiting", generation: 2 });
  });
});

async function blockedSessions(strait: TestServer): Promise<number> {
  const [row] = await strait.db.query<{ n: number }>(sql`
    SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`);
  return row?.n ?? 0;
}

describe("L1 single runs that arrive together", () => {
  test("are committed together: fewer statements than runs", async () => {
    const { strait, jobId } = await startWorld();

    await Promise.all(Array.from({ length: 40 }, () => trigger(strait, jobId)));

    const [row] = await strait.db.query<{ n: number }>(sql`SELECT count(DISTINCT xmin::text)::int AS n FROM runs`);
    expect(row?.n).toBeLessThan(20);
  });
});
