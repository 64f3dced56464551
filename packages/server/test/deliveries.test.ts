import { Webhook } from "standardwebhooks";
import { describe, expect, test, vi } from "vitest";
import { claimDeliveries } from "../src/service/claim-delivery.ts";
import { finishDelivery } from "../src/service/finish-delivery.ts";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import {
  type Dispatch,
  type Executor,
  type ExecutorAnswer,
  eventually,
  startExecutor,
  startServer,
  type TestServer,
} from "./server.ts";
import { besides, send, startStage } from "./stage.ts";

const DELIVERIES = "/v1/webhooks/deliveries";

/** A receiver that answers with the given statuses in turn; the last one stays. */
function startReceiver(...statuses: readonly number[]): Promise<Executor> {
  let calls = 0;
  return startExecutor(() => ({ status: statuses[Math.min(calls++, statuses.length - 1)] ?? 200 }));
}

/** A delivery that is due, with no trigger behind it. */
async function givenDelivery(
  strait: TestServer,
  url: string,
  payload = '{"event":"trigger.waiting"}',
): Promise<string> {
  const id = strait.server.context.clock.newId("whd");
  await strait.db.query(sql`
    INSERT INTO webhook_deliveries (project_id, id, event_type, webhook_url, payload, next_retry_at)
    VALUES (${strait.projectId}, ${id}, 'trigger.waiting', ${url}, ${payload}, strait_now())`);
  strait.server.context.signals.publish(["deliveries"]);
  return id;
}

// biome-ignore lint/suspicious/noExplicitAny: a test names what it expects of a body
async function read(strait: TestServer, id: string): Promise<any> {
  return (await strait.request("GET", `${DELIVERIES}/${id}`)).body;
}

/** Resolves with the delivery when it has these fields. */
function deliveryIs(strait: TestServer, id: string, fields: { status?: string; attempts?: number }) {
  return eventually(async () => {
    const delivery = await read(strait, id);
    return Object.entries(fields).every(([name, value]) => delivery[name] === value) && delivery;
  });
}

async function signingSecret(strait: TestServer): Promise<string> {
  const { body } = await strait.request("GET", `/v1/projects/${strait.projectId}`, {
    token: null,
    headers: { "x-internal-secret": strait.internalSecret },
  });
  return body.signing_secret;
}

/** What the library makes of a request, by a receiver whose clock is the server's. It throws unless the signature is right. */
function verified(strait: TestServer, secret: string, { text, headers }: Dispatch): unknown {
  const now = strait.server.context.clock.nowMs();
  const clock = vi.spyOn(Date, "now").mockReturnValue(now);
  try {
    return new Webhook(secret).verify(text, headers as Record<string, string>);
  } finally {
    clock.mockRestore();
  }
}

describe("ST-20 a delivery to notify_url", () => {
  test("tells that somebody must act and how the wait ended, each signed as Standard Webhooks and as the original", async () => {
    const strait = await startServer();
    const receiver = await startReceiver(200);
    const stage = await startStage(strait);
    const secret = await signingSecret(strait);

    const { id, trigger } = await stage.parked("review:doc 42/ä", { notify_url: `${receiver.url}/ready?a=1` });
    await receiver.received(1);
    await send(strait, "review:doc 42/ä", { approved: true });
    const [waiting, received] = await receiver.received(2);

    if (!waiting || !received) throw new Error("nothing was received");
    expect(verified(strait, secret, waiting)).toEqual({
      event: "trigger.waiting",
      trigger_id: trigger.id,
      event_key: "review:doc 42/ä",
      generation: 1,
      project_id: strait.projectId,
      environment_id: trigger.environment_id,
      status: "waiting",
      requested_at: trigger.requested_at,
      expires_at: trigger.expires_at,
      finished_at: null,
      source_type: "job_run",
      workflow_run_id: null,
      workflow_step_run_id: null,
      job_run_id: id,
      callback_url: `/v1/events/${encodeURIComponent("review:doc 42/ä")}/send`,
    });
    expect(trigger.expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(verified(strait, secret, received)).toMatchObject({ event: "trigger.received", status: "received" });
    expect(waiting.path).toBe("/ready?a=1");
    const deliveryId = waiting.headers["webhook-id"];
    expect(waiting.headers).toMatchObject({
      "content-type": "application/json",
      "x-strait-delivery-id": deliveryId,
      "x-strait-attempt": "1/5",
      "x-strait-trigger-id": trigger.id,
      "x-strait-idempotency-key": `${deliveryId}:1`,
      "x-strait-timestamp": waiting.headers["webhook-timestamp"],
      "x-strait-signature": expect.stringMatching(/^v1=[0-9a-f]{64}$/),
      "x-run-id": id,
      "x-job-id": stage.jobId,
    });
    expect(received.headers["webhook-id"]).not.toBe(deliveryId);
    const sent = await eventually(async () => {
      const { body } = await strait.request("GET", `/v1/events/${encodeURIComponent("review:doc 42/ä")}`);
      return body.notify_status === "sent" && body;
    });
    expect(sent.status).toBe("received");
  });

  test("is stored before it is sent, tried again after 5, 25, 125 and 625 s with the same bytes, and dead after five failures", async () => {
    const strait = await startServer();
    const secret = await signingSecret(strait);
    const before: unknown[] = [];
    const bodies: unknown[] = [];
    const receiver = await startExecutor(async (attempt): Promise<ExecutorAnswer> => {
      bodies.push(verified(strait, secret, attempt));
      before.push((await read(strait, String(attempt.headers["webhook-id"]))).status);
      return { status: 503 };
    });
    const stage = await startStage(strait);
    await stage.parked("review:1", { notify_url: receiver.url, timeout_secs: null });
    const id = String((await receiver.received(1))[0]?.headers["webhook-id"]);

    const delays: number[] = [];
    for (const [index, secs] of [5, 25, 125, 625].entries()) {
      const failed = await deliveryIs(strait, id, { attempts: index + 1 });
      delays.push(Date.parse(failed.next_retry_at) - Date.parse(failed.updated_at));
      await strait.advance(secs * 500);
      expect(receiver.dispatches).toHaveLength(index + 1);
      await strait.advance(secs * 500);
      await receiver.received(index + 2);
    }
    const dead = await deliveryIs(strait, id, { status: "dead" });
    await strait.advance(86_400_000);

    expect(delays).toEqual([5_000, 25_000, 125_000, 625_000]);
    expect(dead).toMatchObject({
      attempts: 5,
      last_status_code: 503,
      last_error: "the receiver answered 503",
      next_retry_at: null,
    });
    expect(receiver.dispatches).toHaveLength(5);
    expect(before).toEqual(Array(5).fill("pending"));
    expect(bodies).toEqual(Array(5).fill(bodies[0]));
    const seen = (header: string) => receiver.dispatches.map(({ headers }) => headers[header]);
    expect(new Set(receiver.dispatches.map(({ text }) => text)).size).toBe(1);
    expect(new Set(seen("webhook-id"))).toEqual(new Set([id]));
    expect(new Set(seen("webhook-timestamp")).size).toBe(5);
    expect(seen("x-strait-attempt")).toEqual(["1/5", "2/5", "3/5", "4/5", "5/5"]);
    expect((await strait.request("GET", "/v1/events/review:1")).body.notify_status).toBe("failed");
  });

  test.each([400, 404, 410, 429])("is dead at once when the receiver answers %i", async (status) => {
    const strait = await startServer();
    const receiver = await startReceiver(status);

    const id = await givenDelivery(strait, receiver.url);
    const dead = await deliveryIs(strait, id, { status: "dead" });
    await strait.advance(1_000_000);

    expect(dead).toMatchObject({ attempts: 1, last_status_code: status, next_retry_at: null });
    expect(receiver.dispatches).toHaveLength(1);
  });

  test("counts a redirect as a failure and does not follow it", async () => {
    const strait = await startServer();
    const elsewhere = await startReceiver(200);
    const receiver = await startExecutor(() => ({ status: 307, headers: { location: elsewhere.url } }));

    const id = await givenDelivery(strait, receiver.url);
    const failed = await deliveryIs(strait, id, { attempts: 1 });

    expect(failed).toMatchObject({
      status: "pending",
      last_status_code: 307,
      last_error: "the receiver answered 307, and redirects are not followed",
    });
    expect(elsewhere.dispatches).toEqual([]);
  });

  test("is tried again when nobody answers, and delivered when the receiver is back, whatever it says", async () => {
    const strait = await startServer();
    const receiver = await startExecutor(() => ({ status: 201, body: "x".repeat(100_000) }));
    const id = await givenDelivery(strait, "http://127.0.0.1:1/");
    const failed = await deliveryIs(strait, id, { attempts: 1 });

    await strait.db.query(sql`UPDATE webhook_deliveries SET webhook_url = ${receiver.url} WHERE id = ${id}`);
    await strait.advance(5_000);

    expect(failed).toMatchObject({
      status: "pending",
      last_status_code: null,
      last_error: expect.stringContaining("ECONNREFUSED"),
    });
    expect(await deliveryIs(strait, id, { status: "delivered" })).toMatchObject({
      attempts: 2,
      last_status_code: 201,
      last_error: null,
      next_retry_at: null,
      delivered_at: expect.any(String),
    });
  });

  test("of a status that the trigger has left says nothing about the present one", async () => {
    const strait = await startServer();
    let answerWaiting = () => {};
    const held = new Promise<void>((resolve) => {
      answerWaiting = resolve;
    });
    const statuses = [503, 200];
    const receiver = await startExecutor(async ({ body }) => {
      if ((body as { status: string }).status === "received") return { status: statuses.shift() ?? 500 };
      await held;
      return { status: 200 };
    });
    const stage = await startStage(strait);
    await stage.parked("review:1", { notify_url: receiver.url });
    await receiver.received(1);
    await send(strait, "review:1", true);
    const [received, waiting] = (await strait.request("GET", DELIVERIES)).body.data;
    const notifyStatus = async () => (await strait.request("GET", "/v1/events/review:1")).body.notify_status;

    await deliveryIs(strait, received.id, { attempts: 1 });
    answerWaiting();
    await deliveryIs(strait, waiting.id, { status: "delivered" });
    const afterWaiting = await notifyStatus();
    await strait.advance(5_000);
    await deliveryIs(strait, received.id, { status: "delivered" });

    expect([waiting.event_type, received.event_type]).toEqual(["trigger.waiting", "trigger.received"]);
    expect(afterWaiting).toBe("pending");
    expect(await notifyStatus()).toBe("sent");
  });
});

describe("several workers", () => {
  test("ST-20 invariant 4: deliver a row once", async () => {
    const strait = await startServer({ runsEngine: false });
    const other = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });
    const receiver = await startReceiver(200);
    const ids = await Promise.all(Array.from({ length: 100 }, () => givenDelivery(strait, receiver.url)));

    for (let sent = 0; sent < 100; sent = receiver.dispatches.length) {
      await Promise.all(
        [strait, other].flatMap((server) => [server.tick("deliver-webhooks"), server.tick("deliver-webhooks")]),
      );
    }
    await eventually(async () => (await strait.request("GET", `${DELIVERIES}?status=pending`)).body.data.length === 0);

    const seen = receiver.dispatches.map(({ headers }) => headers["webhook-id"]);
    expect(seen.toSorted()).toEqual(ids.toSorted());
  });

  test("ST-20 take a delivery again whose worker was killed, once its claim has run out", async () => {
    const strait = await startServer({ runsEngine: false });
    const receiver = await startReceiver(200);
    const id = await givenDelivery(strait, receiver.url);
    await claimDeliveries(strait.server.context, []);

    await strait.advance(25_000);
    const early = receiver.dispatches.length;
    await strait.advance(5_000);
    const delivered = await deliveryIs(strait, id, { status: "delivered" });

    expect(early).toBe(0);
    expect(delivered.attempts).toBe(1);
    expect(receiver.dispatches.map(({ headers }) => headers["x-strait-attempt"])).toEqual(["1/5"]);
  });

  test.each([
    ["delivered", 200],
    ["refused", 400],
    ["failed", 503],
  ])("ST-20 invariant 7: one that comes too late with %s changes nothing", async (_, status) => {
    const strait = await startServer({ runsEngine: false });
    const id = await givenDelivery(strait, "http://127.0.0.1:1/");
    const [late] = await claimDeliveries(strait.server.context, []);
    await advanceClock(strait.db, 30_000);
    const [second] = await claimDeliveries(strait.server.context, []);
    if (!late || !second) throw new Error("nothing was claimed");
    const before = await read(strait, id);

    await finishDelivery(strait.server.context, late, { kind: "answer", status });
    const after = await read(strait, id);
    await finishDelivery(strait.server.context, second, { kind: "answer", status: 200 });

    expect(after).toEqual(before);
    expect(await read(strait, id)).toMatchObject({ status: "delivered", attempts: 1 });
  });

  test("ST-20 of which one drains: the other makes the attempt that was cut short, at once", async () => {
    const strait = await startServer({ env: { WORKER_DRAIN_TIMEOUT: "1ms" } });
    const other = besides(strait, await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl }));
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const receiver = await startExecutor(async ({ headers }) => {
      if (receiver.dispatches.length === 1) await held;
      return { status: headers["x-strait-attempt"] === "1/5" ? 200 : 500 };
    });
    const id = await givenDelivery(strait, receiver.url);
    await strait.tick("deliver-webhooks");
    await receiver.received(1);

    await strait.close();
    await other.tick("deliver-webhooks");
    const delivered = await deliveryIs(other, id, { status: "delivered" });
    release();

    expect(delivered.attempts).toBe(1);
    expect(receiver.dispatches).toHaveLength(2);
  });

  test("keep room for other projects while the receivers of one hang", async () => {
    const strait = await startServer({ runsEngine: false, env: { WORKER_DRAIN_TIMEOUT: "1ms" } });
    const hanging = await startExecutor(() => new Promise(() => {}));
    const receiver = await startReceiver(200);
    const { projectId } = await strait.anotherProject();
    await Promise.all(Array.from({ length: 100 }, () => givenDelivery(strait, hanging.url)));
    await strait.tick("deliver-webhooks");

    await givenDelivery({ ...strait, projectId }, receiver.url);
    await strait.tick("deliver-webhooks");

    await receiver.received(1);
    expect(hanging.dispatches.length).toBeLessThan(64);
  });
});

describe("SSRF: a delivery to a private address", () => {
  test.each(["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])(
    "is failed without a call: %s",
    async (host) => {
      const receiver = await startReceiver(200);
      const strait = await startServer({ env: { STRAIT_ALLOW_PRIVATE_ENDPOINTS: "false" } });
      const url = new URL(receiver.url);

      const id = await givenDelivery(strait, `http://${host}:${url.port}/`);
      const failed = await deliveryIs(strait, id, { status: "failed" });

      expect(failed).toMatchObject({
        last_status_code: null,
        last_error: expect.stringContaining("not allowed"),
        next_retry_at: null,
      });
      expect(receiver.dispatches).toEqual([]);
    },
  );
});

describe("the operations of deliveries", () => {
  async function givenDead(strait: TestServer, receiver: Executor): Promise<string> {
    const id = await givenDelivery(strait, receiver.url, '{"event" : "trigger.waiting", "n": 1e2}');
    await deliveryIs(strait, id, { status: "dead" });
    return id;
  }

  test("retry one that was given up, with all its attempts and its own id", async () => {
    const strait = await startServer();
    const receiver = await startReceiver(404, 503, 200);
    const id = await givenDead(strait, receiver);

    const all = await Promise.all(Array.from({ length: 5 }, () => strait.request("POST", `${DELIVERIES}/${id}/retry`)));
    await deliveryIs(strait, id, { status: "pending", attempts: 1 });
    await strait.advance(5_000);
    await deliveryIs(strait, id, { status: "delivered" });

    const retried = all.filter(({ status }) => status === 200);
    expect(all.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409, 409]);
    expect(retried[0]).toMatchObject({ body: { id, status: "pending", attempts: 0, last_status_code: 404 } });
    expect(receiver.dispatches.map(({ headers }) => [headers["webhook-id"], headers["x-strait-attempt"]])).toEqual([
      [id, "1/5"],
      [id, "1/5"],
      [id, "2/5"],
    ]);
    const again = await strait.request("POST", `${DELIVERIES}/${id}/retry`);
    expect([again.status, again.body.error]).toMatchObject([
      409,
      { code: "illegal_move", details: { status: "delivered", move: "retry" } },
    ]);
    const changes = await strait.db.query(sql`
      SELECT sequence, before, after, split_part(actor, ':', 1) AS actor FROM changes WHERE subject_id = ${id} ORDER BY seq`);
    expect(changes).toEqual([
      { sequence: 1, before: "pending", after: "dead", actor: "system" },
      { sequence: 2, before: "dead", after: "pending", actor: "apikey" },
      { sequence: 3, before: "pending", after: "delivered", actor: "system" },
    ]);
  });

  test("refuse to retry one that has attempts left", async () => {
    const strait = await startServer({ runsEngine: false });
    const id = await givenDelivery(strait, "http://127.0.0.1:1/");

    const { status, body } = await strait.request("POST", `${DELIVERIES}/${id}/retry`);

    expect([status, body.error.code]).toEqual([409, "illegal_move"]);
    expect(await read(strait, id)).toMatchObject({ status: "pending", attempts: 0 });
  });

  test("replay the same bytes as a new delivery, once per idempotency key", async () => {
    const strait = await startServer();
    const receiver = await startReceiver(404, 200);
    const id = await givenDead(strait, receiver);
    const headers = { "idempotency-key": "once" };

    const replayed = await strait.request("POST", `${DELIVERIES}/${id}/replay`, { headers });
    const repeated = await strait.request("POST", `${DELIVERIES}/${id}/replay`, { headers });
    await deliveryIs(strait, replayed.body.id, { status: "delivered" });

    expect(replayed).toMatchObject({
      status: 201,
      body: { status: "pending", attempts: 0, webhook_url: receiver.url },
    });
    expect(replayed.body.id).not.toBe(id);
    expect(repeated.body).toEqual(replayed.body);
    expect((await read(strait, id)).status).toBe("dead");
    const [first, second] = receiver.dispatches;
    expect(second?.text).toBe(first?.text);
    expect(second?.headers["webhook-id"]).toBe(replayed.body.id);
    expect(receiver.dispatches).toHaveLength(2);
  });

  test("list the project's, newest first, by status and by trigger, page by page", async () => {
    const strait = await startServer();
    const receiver = await startReceiver(404, 200);
    const dead = await givenDead(strait, receiver);
    const stage = await startStage(strait);
    const { trigger } = await stage.parked("review:1", { notify_url: receiver.url });
    const { data: ofTrigger } = (await strait.request("GET", `${DELIVERIES}?event_trigger_id=${trigger.id}`)).body;
    await deliveryIs(strait, ofTrigger[0].id, { status: "delivered" });
    const ids = async (query: string) => {
      const { body } = await strait.request("GET", `${DELIVERIES}${query}`);
      return body.data.map((delivery: { id: string }) => delivery.id);
    };

    const first = await strait.request("GET", `${DELIVERIES}?limit=1`);

    expect(ofTrigger).toMatchObject([
      { event_type: "trigger.waiting", run_id: trigger.job_run_id, job_id: stage.jobId },
    ]);
    expect(await ids("")).toEqual([ofTrigger[0].id, dead]);
    expect(await ids("?status=dead")).toEqual([dead]);
    expect(await ids("?status=delivered")).toEqual([ofTrigger[0].id]);
    expect(await ids("?status=failed")).toEqual([]);
    expect(first.body).toMatchObject({ data: [{ id: ofTrigger[0].id }], has_more: true });
    expect(await ids(`?limit=1&cursor=${first.body.next_cursor}`)).toEqual([dead]);
    expect((await strait.request("GET", `${DELIVERIES}?status=lost`)).status).toBe(400);
  });

  test("know nothing of another project's", async () => {
    const strait = await startServer();
    const receiver = await startReceiver(404);
    const id = await givenDead(strait, receiver);
    const { apiKey: token } = await strait.anotherProject();

    const answers = await Promise.all([
      strait.request("GET", `${DELIVERIES}/${id}`, { token }),
      strait.request("POST", `${DELIVERIES}/${id}/retry`, { token }),
      strait.request("POST", `${DELIVERIES}/${id}/replay`, { token }),
    ]);
    const listed = await strait.request("GET", DELIVERIES, { token });

    expect(answers.map(({ status, body }) => [status, body.error.code])).toEqual(Array(3).fill([404, "not_found"]));
    expect(listed.body.data).toEqual([]);
    expect(await read(strait, id)).toMatchObject({ status: "dead", attempts: 1 });
  });
});
