import { describe, expect, test } from "vitest";
import { type Queryable, sql } from "../src/store/sql.ts";
import { type ExecutorAnswer, eventually, startServer } from "./server.ts";
import { send, startStage, waitForEvent } from "./stage.ts";
import { startTwo } from "./two-servers.ts";

describe("an event that was there before the wait", () => {
  /** The executor waits in its first dispatch, for what is there, and then gives `answer`. */
  async function runWithEarlyEvent(answer: ExecutorAnswer) {
    const strait = await startServer();
    const stage = await startStage(strait, async ({ headers, runId: id, runToken: token }) => {
      if (headers["x-dispatch"] !== "1") return { body: { second: true } };
      return { ...answer, body: (await waitForEvent(strait, { id, token }, "aml:user-456")).body };
    });
    expect((await send(strait, "aml:user-456", { result: "clear" })).status).toBe(202);
    return { strait, run: await stage.run() };
  }

  test("B1 B2 is received at once, and the run goes on executing with it as its checkpoint", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "aml:user-456", { result: "clear" });
    const run = await stage.run();

    const waiting = await run.wait("aml:user-456");

    expect(waiting.body).toMatchObject({
      status: "received",
      response_payload: { result: "clear" },
      sent_by: expect.stringMatching(/^apikey:key_/),
    });
    expect(await run.read()).toMatchObject({ status: "executing", dispatch_seq: 1, checkpoint: { result: "clear" } });
    expect(await strait.db.query(sql`SELECT disposition, trigger_id FROM sends`)).toEqual([
      { disposition: "delivered", trigger_id: waiting.body.id },
    ]);
  });

  test("B2 is dispatched with the event when the executor returns as if it had parked", async () => {
    const { run } = await runWithEarlyEvent({ status: 200 });

    const { headers } = await run.dispatch(2);

    expect(headers).toMatchObject({ "x-attempt": "1", "x-resume-reason": "event" });
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual({ result: "clear" });
    await run.is("completed");
    expect((await run.read()).result).toEqual({ second: true });
  });

  test("B2 is dispatched with the event when the executor says that it has parked", async () => {
    const { run } = await runWithEarlyEvent({ headers: { "strait-outcome": "waiting" } });

    const { headers } = await run.dispatch(2);

    expect(headers["x-resume-reason"]).toBe("event");
    await run.is("completed");
  });

  test("B2 completes the run when the executor says that it went on with it", async () => {
    const { run, strait } = await runWithEarlyEvent({ headers: { "strait-outcome": "completed" } });

    await run.is("completed");

    expect((await run.read()).result).toMatchObject({ status: "received" });
    await eventually(async () => strait.server.dispatcher.inFlight === 0);
    expect((await run.read()).dispatch_seq).toBe(1);
  });

  test("B2 is the oldest of several, one for each wait", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const n of [1, 2, 3]) await send(strait, "queue", n);
    const run = await stage.run();

    const payloads = [];
    for (let n = 0; n < 3; n++) payloads.push((await run.wait("queue")).body.response_payload);

    expect(payloads).toEqual([1, 2, 3]);
    expect((await run.wait("queue")).body).toMatchObject({ status: "waiting", generation: 4 });
  });

  test.each([
    ["oldest", [1, 2]],
    ["newest", [2, 1]],
  ])("B2 is the %s by the database's clock, whatever the clocks of the servers say", async (pick, expected) => {
    const { a, b } = await startTwo();
    const stage = await startStage(a);
    const run = await stage.run();
    const fast = { query: async () => [{ now_ms: Date.now() + 60_000 }] } as unknown as Queryable;
    await a.server.context.clock.synchronize(fast);
    const sent = [await send(a, "queue", 1), await send(b, "queue", 2)].map(({ body }) => body.id);
    expect(sent).not.toEqual(sent.toSorted());

    const schema = { payload_schema: { type: "number" } };
    const taken = [await run.wait("queue", { pick }), await run.wait("queue", { pick, ...schema })];

    expect(taken.map(({ body }) => body.response_payload)).toEqual(expected);
  });

  test("B7 is never delivered once it has expired, although no sweeper has been", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const buffered = await send(strait, "aml:1", "old", { ttl_secs: 60 });
    expect(Date.parse(buffered.body.expires_at)).toBeGreaterThan(Date.now() + 50_000);
    await strait.advance(60_000);
    const run = await stage.run();

    expect((await run.wait("aml:1")).body.status).toBe("waiting");
  });

  test.each([
    ["any", ["received", "received"]],
    ["since_run_start", ["waiting", "received"]],
    ["none", ["waiting", "waiting"]],
  ])("B2 answers a wait with accept_buffered %s as far as it should", async (accept_buffered, [early, late]) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "before", 1);
    const runs = [await stage.run(), await stage.run()];
    await send(strait, "after", 2);

    const [before, after] = [
      await runs[0]?.wait("before", { accept_buffered }),
      await runs[1]?.wait("after", { accept_buffered }),
    ];

    expect([before?.body.status, after?.body.status]).toEqual([early, late]);
  });
});
