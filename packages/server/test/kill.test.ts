import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { runStatuses } from "@strait/contract";
import { isTerminalRunStatus } from "@strait/core";
import { describe, expect, onTestFinished, test } from "vitest";
import { startEmbeddedPostgres } from "../src/embedded/postgres.ts";
import { openSession, type Session } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { freshDatabase } from "./database.ts";
import { type Answer, type Dispatch, type Executor, startExecutor } from "./server.ts";
import { dataFolder, type ServerProcess, startProcess } from "./server-process.ts";

/** A process that dies is noticed after three seconds instead of thirty. */
const QUICK = { LEASE_DURATION: "3s", HEARTBEAT_INTERVAL: "500ms" };
const TEST_LIMIT_MS = 120_000;
const EVENTUALLY_MS = 45_000;

const terminal = runStatuses.filter(isTerminalRunStatus);

/** A gate that whoever waits passes once it is open. */
function gate(): { readonly isOpen: Promise<void>; open(): void } {
  let open = () => {};
  const isOpen = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { isOpen, open };
}

async function connect(url: string): Promise<Session> {
  const session = await openSession(url, "strait test");
  onTestFinished(() => session.close().catch(() => {}));
  return session;
}

/** A fresh database, and the settings of server processes that use it. */
async function givenDatabase(): Promise<{ db: Session; env: Record<string, string> }> {
  const { url } = await freshDatabase();
  const env = { NODE_ENV: "test", DATABASE_URL: url, STRAIT_DATA_DIR: await dataFolder(), ...QUICK };
  return { db: await connect(url), env };
}

async function givenJob(strait: ServerProcess, slug: string, endpoint_url: string): Promise<void> {
  const { status } = await strait.request("POST", "/v1/jobs", { body: { name: slug, slug, endpoint_url } });
  expect(status).toBe(201);
}

async function triggerMany(strait: ServerProcess, slug: string, count: number): Promise<string[]> {
  const items = Array.from({ length: count }, (_, n) => ({ payload: { n } }));
  const { status, body } = await strait.request("POST", `/v1/jobs/${slug}/trigger/bulk`, { body: { items } });
  expect(status).toBe(201);
  return body.results.map((result: { id: string }) => result.id);
}

/** Opens the wait of a run on the key `review:<run>`, as the code of its job would: until it has an answer. */
async function ask(strait: () => ServerProcess, { runId, runToken }: Dispatch, options: object = {}): Promise<void> {
  const body = { event_key: `review:${runId}`, timeout_secs: 3_600, ...options };
  const path = `/sdk/v1/runs/${runId}/wait-for-event`;
  await eventually("an answer to wait-for-event", () =>
    strait()
      .request("POST", path, { token: runToken, body })
      .then(
        () => true,
        () => false,
      ),
  );
}

/** Whether the dispatch carries the payload of the event that its run has waited for. */
const hasEvent = ({ headers }: Dispatch): boolean => headers["x-last-checkpoint"] !== undefined;

function answer(strait: ServerProcess, runId: string, headers: Record<string, string> = {}): Promise<Answer> {
  const body = { payload: { approved: runId } };
  return strait.request("POST", `/v1/events/review%3A${runId}/send`, { body, headers });
}

/** How many runs have each status. */
async function census(db: Session): Promise<Record<string, number>> {
  const rows = await db.query<{ status: string; count: number }>(
    sql`SELECT status, count(*)::int AS count FROM runs GROUP BY status ORDER BY status`,
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

async function eventually(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + EVENTUALLY_MS;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${EVENTUALLY_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function becomes(db: Session, expected: Record<string, number>): Promise<void> {
  let last = {};
  await eventually(JSON.stringify(expected), async () => {
    last = await census(db);
    return JSON.stringify(last) === JSON.stringify(expected);
  }).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
  });
}

/** Every run ended, ended once, and its changes are numbered without holes. */
async function expectOneEndEach(db: Session, runs: number): Promise<void> {
  const histories = await db.query<{ ends: number; changes: number; last: number }>(sql`
    SELECT count(*) FILTER (WHERE c.kind = 'status' AND c.after = ANY(${terminal}))::int AS ends,
      count(*)::int AS changes, max(c.sequence) AS last
    FROM runs r JOIN changes c ON c.project_id = r.project_id AND c.subject_id = r.id GROUP BY r.id`);
  expect(histories).toHaveLength(runs);
  expect(histories.filter(({ ends, changes, last }) => ends !== 1 || changes !== last)).toEqual([]);
}

/** Dispatches of one run carry ascending numbers, and each but the first says why it is there. */
function expectFenced(executors: readonly Executor[]): Map<string, string[]> {
  const reasons = new Map<string, string[]>();
  const seen = new Map<string, number>();
  for (const { runId, headers } of executors.flatMap(({ dispatches }) => dispatches)) {
    const number = Number(headers["x-dispatch"]);
    const before = seen.get(runId) ?? 0;
    expect(number).toBeGreaterThan(before);
    expect(headers["x-resume-reason"] !== undefined).toBe(number > 1);
    seen.set(runId, number);
    reasons.set(runId, [...(reasons.get(runId) ?? []), String(headers["x-resume-reason"] ?? "first")]);
  }
  return reasons;
}

/** Why each run was dispatched, in order, and how many runs have that history. */
function tally(histories: ReadonlyMap<string, readonly string[]>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const reasons of histories.values()) counts[reasons.join(", ")] = (counts[reasons.join(", ")] ?? 0) + 1;
  return counts;
}

describe("killing the server", { timeout: TEST_LIMIT_MS }, () => {
  test("invariants 7 and 8: loses none of 200 runs that execute and 200 that wait", async () => {
    const { db, env } = await givenDatabase();
    let strait = await startProcess(env);
    const answers = gate();
    // Several origins, since a process opens at most 64 connections to one.
    const holding = await Promise.all(
      Array.from({ length: 4 }, () => startExecutor(() => answers.isOpen.then(() => ({ body: { held: true } })))),
    );
    const asking = await startExecutor(async (dispatch) => {
      if (hasEvent(dispatch)) return { body: dispatch.headers["x-last-checkpoint"] };
      await ask(() => strait, dispatch);
      return { status: 202 };
    });
    for (const [index, { url }] of holding.entries()) await givenJob(strait, `hold-${index}`, url);
    await givenJob(strait, "ask", asking.url);
    for (const index of holding.keys()) await triggerMany(strait, `hold-${index}`, 50);
    const asked = await triggerMany(strait, "ask", 200);
    for (const executor of holding) await executor.received(50);
    await becomes(db, { executing: 200, waiting: 200 });

    await strait.kill("SIGKILL");
    expect(await census(db)).toEqual({ executing: 200, waiting: 200 });
    strait = await startProcess(env);
    answers.open();
    await becomes(db, { completed: 200, waiting: 200 });
    const sent = await Promise.all(asked.map((run) => answer(strait, run)));

    expect(sent.map(({ body }) => body.disposition)).toEqual(asked.map(() => "delivered"));
    await becomes(db, { completed: 400 });
    await expectOneEndEach(db, 400);
    expect(tally(expectFenced([...holding, asking]))).toEqual({ "first, lost": 200, "first, event": 200 });
    const results = await db.query(sql`SELECT 1 FROM runs WHERE result LIKE '%approved%' || id || '%'`);
    expect(results).toHaveLength(200);
  });

  test("invariants 4, 7 and 8: loses none, whatever the moment", async () => {
    const { db, env } = await givenDatabase();
    const KILLS = 2;
    const RUNS = 150;
    let strait = await startProcess(env);
    const asking = await startExecutor(async (dispatch) => {
      if (hasEvent(dispatch)) return { body: { done: true } };
      await ask(() => strait, dispatch);
      return { status: 202 };
    });
    const quick = await startExecutor();
    await givenJob(strait, "ask", asking.url);
    await givenJob(strait, "quick", quick.url);

    for (let kill = 1; kill <= KILLS; kill++) {
      const seen = asking.dispatches.length;
      await triggerMany(strait, "ask", RUNS / KILLS);
      await triggerMany(strait, "quick", RUNS / KILLS);
      await asking.received(seen + 10 * kill);
      await strait.kill("SIGKILL");
      strait = await startProcess(env);
    }
    await becomes(db, { completed: RUNS, waiting: RUNS });
    const keys = await db.query<{ job_run_id: string }>(
      sql`SELECT job_run_id FROM event_triggers WHERE status = 'waiting'`,
    );
    await Promise.all(keys.map(({ job_run_id }) => answer(strait, job_run_id)));

    await becomes(db, { completed: 2 * RUNS });
    await expectOneEndEach(db, 2 * RUNS);
    expectFenced([asking, quick]);
  });

  test("invariant 4: another process on the same database takes over without being told", async () => {
    const { db, env } = await givenDatabase();
    const doomed = await startProcess(env);
    const survivor = await startProcess(env);
    const answers = gate();
    const executor = await startExecutor(async ({ headers }) => {
      if (headers["x-dispatch"] === "1") await answers.isOpen;
      return { body: { answered: headers["x-dispatch"] } };
    });
    await givenJob(doomed, "hold", executor.url);
    const [id] = await triggerMany(doomed, "hold", 40);
    await executor.received(40);

    await doomed.kill("SIGKILL");

    await becomes(db, { completed: 40 });
    const run = await survivor.request("GET", `/v1/runs/${id}`);
    expect(run.body).toMatchObject({ status: "completed", attempt: 1, dispatch_seq: 2, result: { answered: "2" } });
    expect(tally(expectFenced([executor]))).toEqual({ "first, lost": 40 });
    await expectOneEndEach(db, 40);
    answers.open();
  });

  test("invariant 7: tells a run that was lost after its wait again how the wait ended", async () => {
    const { db, env } = await givenDatabase();
    let strait = await startProcess(env);
    const answers = gate();
    const executor = await startExecutor(async (dispatch) => {
      if (dispatch.headers["x-dispatch"] === "2") await answers.isOpen;
      if (dispatch.headers["x-resume-reason"] === "timeout") return { body: { gaveUp: true } };
      await ask(() => strait, dispatch, { timeout_secs: 1, on_timeout: "resume" });
      return { status: 202 };
    });
    await givenJob(strait, "ask", executor.url);
    await triggerMany(strait, "ask", 10);
    await executor.received(20);

    await strait.kill("SIGKILL");
    strait = await startProcess(env);
    answers.open();

    await becomes(db, { completed: 10 });
    expect(tally(expectFenced([executor]))).toEqual({ "first, timeout, timeout": 10 });
    await expectOneEndEach(db, 10);
  });

  test("invariant 8: loses nothing that was acknowledged, though the database is killed with it", async () => {
    const { env, database } = await givenEmbedded();
    let strait = await startProcess(env);
    const postgres = await database();
    const traffic = await givenTraffic(() => strait);
    const acknowledged = new Map<string, string>();

    const sending = traffic.send(acknowledged);
    await eventually("half of the traffic", async () => acknowledged.size >= traffic.size / 2);
    killAll([strait.pid, ...(await postgres.pids())]);
    await Promise.all([sending, strait.ended]);
    expect(acknowledged.size).toBeLessThan(traffic.size);
    strait = await startProcess(env);
    const answered = new Map<string, string>();
    await traffic.send(answered);

    const { db } = await database();
    expect(answered.size).toBe(traffic.size);
    for (const [key, id] of acknowledged) expect(answered.get(key)).toBe(id);
    await becomes(db, { completed: traffic.size });
    await expectOneEndEach(db, traffic.size);
    expectFenced(traffic.executors);
  });

  test("invariant 8: survives a crash of the database under it", async () => {
    const { env, database } = await givenEmbedded();
    const strait = await startProcess(env);
    const postgres = await database();
    const traffic = await givenTraffic(() => strait);
    const acknowledged = new Map<string, string>();

    const sending = traffic.send(acknowledged);
    await eventually("half of the traffic", async () => acknowledged.size >= traffic.size / 2);
    // One backend that is killed makes the postmaster stop all of them and recover from the log.
    const [, ...backends] = await postgres.pids();
    killAll(backends.slice(0, 1));
    await sending;
    const answered = new Map<string, string>();
    await eventually("an answer to everything", async () => {
      await traffic.send(answered);
      return answered.size === traffic.size;
    });

    const { db } = await database();
    for (const [key, id] of acknowledged) expect(answered.get(key)).toBe(id);
    await becomes(db, { completed: traffic.size });
    await expectOneEndEach(db, traffic.size);
    expectFenced(traffic.executors);
  });
});

describe("stopping the server", { timeout: TEST_LIMIT_MS }, () => {
  test("lets what executes end, puts back what does not end in time, and exits with 0", async () => {
    const { db, env } = await givenDatabase();
    const strait = await startProcess({ ...env, WORKER_DRAIN_TIMEOUT: "1500ms" });
    const prompt = gate();
    const never = gate();
    const ending = await startExecutor(() => prompt.isOpen.then(() => ({ body: { drained: true } })));
    const slow = await startExecutor(async ({ headers }) => {
      if (headers["x-dispatch"] === "1") await never.isOpen;
      return { body: { drained: false } };
    });
    await givenJob(strait, "ending", ending.url);
    await givenJob(strait, "slow", slow.url);
    await triggerMany(strait, "ending", 10);
    await triggerMany(strait, "slow", 10);
    await Promise.all([ending.received(10), slow.received(10)]);

    strait.signal("SIGTERM");
    await draining(strait);
    prompt.open();
    const { code, stderr } = await strait.ended;

    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(await census(db)).toEqual({ completed: 10, queued: 10 });
    await startProcess(env);
    await becomes(db, { completed: 20 });
    expect(tally(expectFenced([ending, slow]))).toEqual({ first: 10, "first, lost": 10 });
    const attempts = await db.query(sql`SELECT DISTINCT attempt, lost_count FROM runs`);
    expect(attempts).toEqual([{ attempt: 1, lost_count: 0 }]);
    await expectOneEndEach(db, 20);
    never.open();
  });

  test("answers the request that is under way, and takes no other", async () => {
    const { db, env } = await givenDatabase();
    const strait = await startProcess(env);
    const upload = request(`${strait.url}/v1/events/late/send`, {
      method: "POST",
      headers: { authorization: `Bearer ${strait.apiKey}`, "content-type": "application/json", "content-length": 13 },
    });
    const answered = once(upload, "response");
    upload.write('{"payl');
    await strait.request("GET", "/health");

    strait.signal("SIGTERM");
    await eventually("the refusal of connections", () =>
      fetch(`${strait.url}/health`).then(
        () => false,
        () => true,
      ),
    );
    upload.end('oad":1}');
    const [answer]: IncomingMessage[] = await answered;
    answer?.resume();

    expect(answer?.statusCode).toBe(202);
    expect((await strait.ended).code).toBe(0);
    expect(await db.query(sql`SELECT event_key, disposition FROM sends`)).toEqual([
      { event_key: "late", disposition: "buffered" },
    ]);
  });

  test("ends at once at the second signal, which loses nothing either", async () => {
    const { db, env } = await givenDatabase();
    const strait = await startProcess({ ...env, WORKER_DRAIN_TIMEOUT: "10m" });
    const answers = gate();
    const executor = await startExecutor(() => answers.isOpen.then(() => ({ body: null })));
    await givenJob(strait, "hold", executor.url);
    await triggerMany(strait, "hold", 20);
    await executor.received(20);

    strait.signal("SIGTERM");
    await draining(strait);
    const { code } = await strait.kill("SIGINT");

    expect(code).toBe(1);
    expect(await census(db)).toEqual({ executing: 20 });
    answers.open();
    await startProcess(env);
    await becomes(db, { completed: 20 });
    expect(tally(expectFenced([executor]))).toEqual({ "first, lost": 20 });
  });
});

/** Resolves when the server says that it stops: it has taken notice of the signal, and still answers its executors. */
function draining(strait: ServerProcess): Promise<void> {
  return eventually("the readiness of a server that stops", () =>
    strait.request("GET", "/health/ready").then(({ status }) => status === 503),
  );
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) process.kill(pid, "SIGKILL");
}

interface Embedded {
  readonly db: Session;
  /** Of the postmaster, then of everything that it has started. */
  pids(): Promise<number[]>;
}

/** The settings of a server with a database of its own, which commits to disk, and how to look into that. */
async function givenEmbedded(): Promise<{ env: Record<string, string>; database: () => Promise<Embedded> }> {
  const folder = await dataFolder();
  return {
    env: { NODE_ENV: "development", STRAIT_DATA_DIR: folder, ...QUICK },
    async database() {
      const postgres = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), log: () => {} });
      onTestFinished(() => postgres.stop());
      const db = await connect(postgres.url);
      return {
        db,
        async pids() {
          const processes = await db.query<{ pid: number }>(
            sql`SELECT pid FROM pg_stat_activity ORDER BY application_name <> 'strait', pid`,
          );
          return [postgres.pid, ...processes.map(({ pid }) => pid)];
        },
      };
    },
  };
}

interface Traffic {
  readonly size: number;
  readonly executors: readonly Executor[];
  /** Sends every request that has no id in `answered` yet, once, under its own key, and notes the ids in the answers. */
  send(answered: Map<string, string>): Promise<void>;
}

/** 100 runs that wait, the events for them, and 200 triggers of another job. */
async function givenTraffic(strait: () => ServerProcess): Promise<Traffic> {
  const asking = await startExecutor(async (dispatch) => {
    if (hasEvent(dispatch)) return { body: { done: true } };
    await ask(strait, dispatch);
    return { status: 202 };
  });
  const quick = await startExecutor();
  await givenJob(strait(), "ask", asking.url);
  await givenJob(strait(), "quick", quick.url);
  const asked = await triggerMany(strait(), "ask", 100);
  await eventually("the waits", async () => {
    const pages = await strait().request("GET", "/v1/runs?status=waiting&limit=100");
    return pages.body.data.length === asked.length;
  });
  const headersOf = (key: string) => ({ "idempotency-key": key });
  const requests = [
    ...Array.from({ length: 200 }, (_, n) => ({
      key: `trigger-${n}`,
      send: () => strait().request("POST", "/v1/jobs/quick/trigger", { body: {}, headers: headersOf(`trigger-${n}`) }),
    })),
    ...asked.map((run) => ({ key: `send-${run}`, send: () => answer(strait(), run, headersOf(`send-${run}`)) })),
  ].sort((a, b) => (a.key.slice(-1) < b.key.slice(-1) ? -1 : 1));

  return {
    size: requests.length,
    executors: [asking, quick],
    async send(answered) {
      const open = requests.filter(({ key }) => !answered.has(key));
      const work = async () => {
        for (let request = open.shift(); request; request = open.shift()) {
          const { status, body } = (await request.send().catch(() => undefined)) ?? { status: 0, body: undefined };
          if (status >= 200 && status < 300) answered.set(request.key, body.id);
        }
      };
      await Promise.all(Array.from({ length: 8 }, work));
    },
  };
}
