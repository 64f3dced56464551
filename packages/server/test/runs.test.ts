import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { givenJob, readRun, runIs, startQuiet, trigger } from "./given.ts";
import { eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { recordStatements } from "./statements.ts";

/** A string whose JSON has that many bytes. */
const textOf = (bytes: number) => "é".repeat(Math.floor((bytes - 2) / 2)).padEnd(Math.ceil((bytes - 2) / 2), "x");

async function bodiesOf(strait: TestServer, id: string) {
  const [row] = await strait.db.query(sql`
    SELECT r.payload = '' AS payload, r.result = '' AS result, r.checkpoint = '' AS checkpoint,
      ARRAY(SELECT kind || ' ' || seq || ' ' || octet_length(body) FROM run_bodies b WHERE b.run_id = r.id ORDER BY kind, seq) AS bodies
    FROM runs r WHERE id = ${id}`);
  return row;
}

describe("Q6 bodies", () => {
  test("of up to 512 bytes stand in the run's row, larger ones once beside it", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(({ body }) => ({ body }));
    const job = await givenJob(strait, { endpoint_url: executor.url });
    expect(Buffer.byteLength(JSON.stringify(textOf(512)))).toBe(512);

    const small = await trigger(strait, job, { payload: textOf(512) });
    const large = await trigger(strait, job, { payload: textOf(513) });

    expect(await runIs(strait, small.id, "completed")).toMatchObject({ payload: textOf(512), result: textOf(512) });
    expect(await runIs(strait, large.id, "completed")).toMatchObject({ payload: textOf(513), result: textOf(513) });
    const none = { payload: false, result: false, checkpoint: null, bodies: [] };
    expect(await bodiesOf(strait, small.id)).toEqual(none);
    expect(await bodiesOf(strait, large.id)).toEqual({
      payload: true,
      result: true,
      checkpoint: null,
      bodies: ["payload 0 513", "result 0 513"],
    });
  });

  test("an empty string is a body like others", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(({ body }) => ({ body }));

    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }), { payload: "" });

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ payload: "", result: "" });
  });

  test("beside the row are written once, and of checkpoints only the latest stays", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(() => ({ status: 202 }));
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    const save = (state: unknown) =>
      strait.request("POST", `/sdk/v1/runs/${run.id}/checkpoint`, { token: run.token, body: { state } });

    for (const size of [600, 20, 700]) expect((await save(textOf(size))).status).toBe(201);

    expect(await bodiesOf(strait, run.id)).toMatchObject({ bodies: ["checkpoint 3 700"] });
    expect((await readRun(strait, run.id)).checkpoint).toBe(textOf(700));
    const latest = await strait.request("GET", `/sdk/v1/runs/${run.id}/checkpoint`, { token: run.token });
    expect(latest.body).toMatchObject({ sequence: 3, state: textOf(700) });
  });

  test.each([
    ["small", 1],
    ["large", 200],
  ])("go as text from the edge to the endpoint and back (%s): no member changes its place", async (_, times) => {
    const strait = await startQuiet();
    const text = `{"z":1,"a":[${Array(times).fill('{"y":null,"b":"ü\\n\\"","é":0.5}').join(",")}],"A":-1e-7}`;
    const executor = await startExecutor(({ text: received }) => ({ body: JSON.parse(received) }));
    const job = await givenJob(strait, { endpoint_url: executor.url });

    const triggered = await strait.request("POST", `/v1/jobs/${job}/trigger`, { text: `{"payload":${text}}` });
    await runIs(strait, triggered.body.id, "completed");

    const answer = await strait.fetch("GET", `/v1/runs/${triggered.body.id}`);
    const shown = await answer.text();
    const token = triggered.body.run_token;
    const payload = await strait.fetch("GET", `/sdk/v1/runs/${triggered.body.id}/payload`, { token });
    expect(executor.dispatches[0]?.text).toBe(text);
    expect(shown).toContain(`"payload":${text}`);
    expect(shown).toContain(`"result":${text}`);
    expect(await payload.text()).toBe(text);
  });

  test("of almost a megabyte make the round trip", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(({ body }) => ({ body }));
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const payload = Array.from({ length: 5_500 }, (_, n) => `${n}`.padEnd(80, "ß"));
    expect(Buffer.byteLength(JSON.stringify(payload))).toBeGreaterThan(800_000);

    const run = await trigger(strait, job, { payload });

    expect((await runIs(strait, run.id, "completed")).result).toEqual(payload);
  });

  test("are in no list", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor();
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }), {
      payload: textOf(2_000),
    });
    await runIs(strait, run.id, "completed");
    const statements = recordStatements();

    const { body } = await strait.request("GET", "/v1/runs");

    expect(body.data).toMatchObject([{ id: run.id }]);
    for (const name of ["payload", "result", "checkpoint"]) expect(Object.keys(body.data[0])).not.toContain(name);
    expect(statements.filter(({ text }) => text.includes("run_bodies"))).toEqual([]);
  });
});

describe("Q8 a wake-up is not lost", () => {
  /** A server whose tasks never look by themselves, but for the first time. */
  async function startSleepy(databaseUrl?: string, env: Record<string, string> = {}): Promise<TestServer> {
    const given = databaseUrl === undefined ? {} : { databaseUrl };
    const strait = await startServer({ runsEngine: false, ...given, env: { LEASE_DURATION: "1500ms", ...env } });
    for (const task of strait.server.engine.tasks.values()) Object.assign(task, { idleMs: 3_600_000 });
    await strait.server.engine.start();
    await strait.tick("dispatch-runs");
    return strait;
  }

  const listeners = (strait: TestServer) =>
    strait.db.query<{ pid: number }>(sql`
      SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'strait listen'`);

  /** Until the server has learned, by its heartbeat, that it is not alone. */
  async function hasPeers(strait: TestServer): Promise<void> {
    const statements = recordStatements();
    await eventually(async () => {
      strait.server.context.signals.publish(["run:nobody"]);
      return statements.some(({ text }) => text.includes("pg_notify"));
    });
  }

  test("within a process: what waits is started as soon as there is room", async () => {
    const strait = await startSleepy(undefined, { WORKER_CONCURRENCY: "1" });
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: executor.url });

    const runs = [];
    for (let n = 0; n < 10; n++) runs.push(await trigger(strait, job));

    for (const { id } of runs) await runIs(strait, id, "completed");
  });

  test("within a process: a retry is scheduled for its time, not for the next look", async () => {
    const strait = await startSleepy();
    const executor = await startExecutor(({ headers }) => ({ status: headers["x-attempt"] === "1" ? 500 : 200 }));
    const job = { endpoint_url: executor.url, retry_strategy: "fixed" };

    const run = await trigger(strait, await givenJob(strait, job));

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ attempt: 2 });
  });

  test("across processes: what one enqueues another one starts", async () => {
    const worker = await startSleepy();
    const api = await startSleepy(worker.databaseUrl, { MODE: "api" });
    const executor = await startExecutor();
    const job = await givenJob(api, { endpoint_url: executor.url });
    await hasPeers(api);

    const run = await trigger(api, job);

    expect(run.status).toBe("queued");
    await runIs(api, run.id, "completed");
  });

  test("when the connection that listens breaks: after connecting again everything is read at once", async () => {
    const worker = await startSleepy(undefined, { LOG_LEVEL: "silent" });
    const api = await startServer({ runsEngine: false, databaseUrl: worker.databaseUrl, env: { MODE: "api" } });
    await api.server.context.signals.close();
    const executor = await startExecutor();
    const job = await givenJob(api, { endpoint_url: executor.url });
    const [listener, ...others] = await listeners(worker);
    expect(others).toEqual([]);

    await worker.db.query(sql`SELECT pg_terminate_backend(${listener?.pid})`);
    const run = await trigger(api, job);

    await runIs(api, run.id, "completed");
    const [again] = await listeners(worker);
    expect(again?.pid).not.toBe(listener?.pid);
  });

  test("when no notification arrives at all: the poll behind it finds the run", async () => {
    const worker = await startServer();
    await worker.server.context.signals.close();
    const api = await startServer({ runsEngine: false, databaseUrl: worker.databaseUrl, env: { MODE: "api" } });
    const executor = await startExecutor();
    const run = await trigger(api, await givenJob(api, { endpoint_url: executor.url }));

    await runIs(api, run.id, "completed");

    expect(await listeners(worker)).toHaveLength(1); // the other server's
  });
});
