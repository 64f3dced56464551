import { describe, expect, test } from "vitest";
import { givenJob, historyOf, readRun, runIs, startQuiet, trigger } from "./given.ts";
import { type ExecutorAnswer, eventually, startExecutor, type TestServer } from "./server.ts";

/** Seconds that a run in the queue has still to wait. */
async function backoffOf(strait: TestServer, id: string): Promise<number> {
  const [row] = await strait.db.query<{ secs: number }>({
    text: "SELECT extract(epoch FROM next_retry_at - strait_now())::float8 AS secs FROM runs WHERE id = $1",
    values: [id],
  });
  return row?.secs ?? Number.NaN;
}

async function nextAttempt(strait: TestServer, secs: number): Promise<void> {
  await strait.advance(secs * 1_000);
  await strait.tick("dispatch-runs");
}

describe("a failed run is tried again", () => {
  test.each([
    ["exponential", [], [1, 2, 4]],
    ["linear", [], [1, 2, 3]],
    ["fixed", [], [1, 1, 1]],
    ["custom", [30, 7], [30, 7, 7]],
  ])(
    "after the delays of the strategy %s %j, then it is a dead letter",
    async (retry_strategy, retry_delays_secs, delays) => {
      const strait = await startQuiet();
      const executor = await startExecutor(() => ({ status: 500, body: "no" }));
      const policy = { max_attempts: delays.length + 1, retry_strategy, retry_delays_secs };
      const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url, ...policy }));

      for (const [index, delay] of delays.entries()) {
        await eventually(async () => (await readRun(strait, run.id)).attempt === index + 2);
        const secs = await backoffOf(strait, run.id);
        expect(secs).toBeGreaterThan(delay * 0.8 - 0.5);
        expect(secs).toBeLessThan(delay * 1.2);
        await nextAttempt(strait, delay * 1.2);
      }

      expect(await runIs(strait, run.id, "dead_letter")).toMatchObject({
        attempt: policy.max_attempts,
        dispatch_seq: policy.max_attempts,
        error_class: "server",
        next_retry_at: null,
      });
      const told = executor.dispatches.map(({ headers }) => [
        headers["x-attempt"],
        headers["x-previous-error"] !== undefined,
      ]);
      expect(told).toEqual(delays.concat(0).map((_, index) => [String(index + 1), index > 0]));
    },
  );

  test("as often as max_attempts says, however often it fails in the same way", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(({ headers }) => ({ status: headers["x-attempt"] === "4" ? 200 : 429 }));
    const job = { endpoint_url: executor.url, max_attempts: 4, retry_strategy: "fixed" };
    const run = await trigger(strait, await givenJob(strait, job));

    for (let attempt = 2; attempt <= 4; attempt++) {
      await eventually(async () => (await readRun(strait, run.id)).attempt === attempt);
      await nextAttempt(strait, 2);
    }

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ attempt: 4, error: null });
  });

  test("not before its delay has passed", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(() => ({ status: 500 }));
    const policy = { retry_strategy: "custom", retry_delays_secs: [100] };
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url, ...policy }));
    await runIs(strait, run.id, "queued");

    await nextAttempt(strait, 79);
    expect(executor.dispatches).toHaveLength(1);
    await nextAttempt(strait, 42);

    await executor.received(2);
  });

  test("not at all with one attempt: a timeout is then a dead letter as well", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(() => new Promise<ExecutorAnswer>(() => {}));
    const job = { endpoint_url: executor.url, max_attempts: 1, timeout_secs: 1 };

    const run = await trigger(strait, await givenJob(strait, job));

    expect(await runIs(strait, run.id, "dead_letter")).toMatchObject({ attempt: 1, error_class: "timeout" });
    expect(await historyOf(strait, run.id)).toEqual(["executing", "dead_letter"]);
  });
});

describe("a run whose code says that it failed", () => {
  async function fail(body: object) {
    const strait = await startQuiet();
    const executor = await startExecutor(() => ({ status: 202 }));
    const policy = { retry_strategy: "custom", retry_delays_secs: [50] };
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url, ...policy }));
    await executor.received(1);
    const first = await strait.request("POST", `/sdk/v1/runs/${run.id}/fail`, { token: run.token, body });
    return { strait, run, first, executor };
  }

  test("is tried again by its job's policy", async () => {
    const { strait, run, first, executor } = await fail({ error: "not yet" });

    expect(first.body).toMatchObject({ status: "queued", attempt: 2, error: "not yet", error_class: "reported" });
    expect(await backoffOf(strait, run.id)).toBeGreaterThan(39);
    await nextAttempt(strait, 60);
    const [, second] = await executor.received(2);

    expect(second?.headers).toMatchObject({ "x-attempt": "2", "x-previous-error": "not%20yet" });
  });

  test("ends at once when a retry is of no use", async () => {
    const { strait, run, first } = await fail({ error: "never", retryable: false });

    expect(first.body).toMatchObject({ status: "failed", attempt: 1, error: "never" });
    const repeated = await strait.request("POST", `/sdk/v1/runs/${run.id}/fail`, {
      token: run.token,
      body: { error: "never", retryable: false },
    });
    expect(repeated).toMatchObject({ status: 200, body: { status: "failed" } });
  });
});
