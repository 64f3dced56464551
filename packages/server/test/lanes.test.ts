import { describe, expect, test } from "vitest";
import { enqueueRunLane, type RunRequest } from "../src/service/enqueue-run.ts";
import { finishRunLane, type RunOutcome } from "../src/service/finish-run.ts";
import { sendEventLane } from "../src/service/send-event.ts";
import type { SendEvent } from "../src/service/sending.ts";
import * as jobs from "../src/store/jobs.ts";
import { sql } from "../src/store/sql.ts";
import {
  blockedSessions,
  countOf,
  type ExecutingWorld,
  historyOf,
  readRun,
  startExecutingWorld,
  trigger,
} from "./given.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { hold, waitForEvent } from "./stage.ts";

/** What PostgreSQL refuses in any text, whatever the column. */
const BAD = "a\0b";

async function requestOf(
  { strait, jobId, environmentId }: ExecutingWorld,
  change: Partial<RunRequest> = {},
): Promise<RunRequest> {
  const job = await jobs.find(strait.db, strait.projectId, jobId);
  if (!job) throw new Error("there is no job");
  const plain = { scheduled_at: null, priority: 0, ttl_secs: null, batch_id: null, idempotency_key: null };
  return { job, environmentId, payload: {}, tags: {}, ...plain, triggered_by: "manual", actor: "test", ...change };
}

function completion(strait: TestServer, id: string, change: Partial<RunOutcome> = {}): RunOutcome {
  const outcome = { dispatch_seq: 1, move: "complete", result: "1", stands_alone: false } as const;
  return { project_id: strait.projectId, id, ...outcome, ...change };
}

function sendOf(
  { strait, environmentId }: ExecutingWorld,
  event_key: string,
  change: Partial<SendEvent> = {},
): SendEvent {
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

describe("L2 good and bad items in one batch", () => {
  test("of enqueuing: a bad value, a time that is none, and one that a unique index refuses fail alone", async () => {
    const world = await startExecutingWorld();
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
    expect(await countOf(strait, "runs")).toBe(2);
    expect(await countOf(strait, "changes")).toBeGreaterThanOrEqual(2);
  });

  test("of finishing: the others end, the culprit executes on", async () => {
    const world = await startExecutingWorld();
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
    const world = await startExecutingWorld();
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
      await strait.db.query(sql`SELECT event_key, disposition FROM sends ORDER BY event_key, disposition`),
    ).toEqual([
      { event_key: "early-too", disposition: "buffered" },
      { event_key: "wait-0", disposition: "delivered" },
      { event_key: "wait-1", disposition: "conflict" },
      { event_key: "wait-1", disposition: "delivered" },
    ]);
  });

  test("a batch that PostgreSQL breaks off for a deadlock, or for its serialization, is repeated", async () => {
    const { strait, jobId } = await startExecutingWorld();
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
    const world = await startExecutingWorld();
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
    expect(await countOf(strait, "run_idempotency")).toBe(10 * ROUNDS);
  });
});

describe("L2 a run whose row somebody holds", () => {
  test("does not hold up the others: not those of its batch, and not those behind it", async () => {
    const world = await startExecutingWorld();
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

  test("does not hold up another that was held, too, and is free earlier", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const [long, short] = await world.executing(2);
    const lane = finishRunLane(strait.server.context);
    const [longer, shorter] = await Promise.all(
      [long, short].map((run) => hold(strait, sql`SELECT 1 FROM runs WHERE id = ${run?.id} FOR UPDATE`)),
    );

    const last = lane.add(completion(strait, long?.id ?? ""));
    const first = lane.add(completion(strait, short?.id ?? ""));
    await eventually(async () => (await blockedSessions(strait)) > 0);
    await shorter?.release();

    expect(await first).toBe("moved");
    expect((await readRun(strait, long?.id ?? "")).status).toBe("executing");
    await longer?.release();
    expect(await last).toBe("moved");
  });

  test("is looked at again when it is free: another outcome may have come first", async () => {
    const world = await startExecutingWorld();
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

describe("L1 single runs that arrive together", () => {
  test("are committed together, and those that arrive meanwhile with the next", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const lane = enqueueRunLane(strait.server.context);
    const request = await requestOf(world);
    const held = await hold(strait, sql`LOCK TABLE changes IN SHARE MODE`);

    const early = Array.from({ length: 20 }, () => lane.add(request));
    await eventually(async () => (await blockedSessions(strait)) === 1);
    const late = Array.from({ length: 30 }, () => lane.add(request));
    await held.release();
    await Promise.all([...early, ...late]);

    const commits = await strait.db.query(sql`
      SELECT count(*)::int AS runs FROM changes WHERE before IS NULL AND kind = 'status' GROUP BY xid ORDER BY xid`);
    expect(commits).toEqual([{ runs: 20 }, { runs: 30 }]);
  });
});
