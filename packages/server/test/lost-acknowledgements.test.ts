import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { freshDatabase } from "./database.ts";
import { startDatabaseProxy } from "./database-proxy.ts";
import {
  blockedSessions,
  countOf,
  givenJob,
  historyOf,
  readRun,
  runIs,
  startExecutingWorld,
  trigger,
} from "./given.ts";
import { eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { besides, hold, waitForEvent } from "./stage.ts";

describe("L2 a lost acknowledgement of a commit", () => {
  async function startBehindProxy() {
    const { url } = await freshDatabase();
    const proxy = await startDatabaseProxy(url);
    const world = await startExecutingWorld(proxy.url);
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
      expect(await countOf(strait, "runs")).toBe(1);
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
    expect(await countOf(strait, "run_schedule")).toBe(1);
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
    expect(await countOf(strait, "sends")).toBe(1);
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
    expect(await countOf(strait, "sends")).toBe(2);
  });

  test("of a buffered event: it is kept once", async () => {
    const { strait, proxy } = await startBehindProxy();
    const lost = proxy.loseAcknowledgementOf("lost-early", 1);

    const body = { payload: "lost-early", if_no_waiter: "buffer" };
    const sent = await strait.request("POST", "/v1/events/k/send", { body });
    await lost;

    expect(sent).toMatchObject({ status: 202, body: { disposition: "buffered" } });
    expect(await countOf(strait, "sends")).toBe(1);
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
