import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sql } from "../src/store/sql.ts";
import { blockedSessions, countOf, givenJob, startExecutingWorld } from "./given.ts";
import { type Answer, eventually, startServer, type TestServer } from "./server.ts";
import { hold, send, waitForEvent } from "./stage.ts";
import { recordStatements } from "./statements.ts";

/** Answers as they come, by name. */
function answering() {
  const answers: Record<string, Answer> = {};
  return {
    answers,
    async take(name: string, answer: Promise<Answer>) {
      answers[name] = await answer;
    },
  };
}

const holdKey = (strait: TestServer, eventKey: string) =>
  hold(strait, sql`SELECT 1 FROM event_keys WHERE event_key = ${eventKey} FOR UPDATE`);

describe("L2 a row that somebody holds", () => {
  test("delays the sends to its key only: those beside it and those after it are answered", async () => {
    const strait = await startServer({ runsEngine: false });
    await send(strait, "held", 1);
    const lock = await holdKey(strait, "held");
    const { answers, take } = answering();

    const blocked = take("held", send(strait, "held", 2));
    await Promise.all(["a", "b", "c"].map((key) => take(key, send(strait, key, 1))));
    const behind = take("behind", send(strait, "held", 3));
    await take("later", send(strait, "later", 1));

    expect(Object.keys(answers).toSorted()).toEqual(["a", "b", "c", "later"]);
    await lock.release();
    await Promise.all([blocked, behind]);
    expect(Object.values(answers).map(({ status }) => status)).toEqual(Array(6).fill(202));
    expect(await strait.db.query(sql`SELECT payload FROM sends WHERE event_key = 'held' ORDER BY created_at`)).toEqual([
      { payload: "1" },
      { payload: "2" },
      { payload: "3" },
    ]);
  });

  test("does not take back what was delivered in the same batch", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const [run] = await world.executing(1);
    if (!run) throw new Error("there is no run");
    await waitForEvent(strait, run, "waited");
    await send(strait, "held", 1);
    const lock = await holdKey(strait, "held");

    const blocked = send(strait, "held", 2);
    const hit = await send(strait, "waited", "yes");

    expect([hit.status, hit.body.disposition]).toEqual([200, "delivered"]);
    await lock.release();
    expect((await blocked).status).toBe(202);
  });

  test("U3 does not delay a wait that joins others: it looks at one of them, however many wait", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const [last, ...runs] = await world.executing(4);
    const broadcast = { broadcast: true, timeout_secs: null };
    for (const run of runs) await waitForEvent(strait, run, "all", broadcast);
    if (!last) throw new Error("there is no run");
    const lock = await hold(strait, sql`SELECT FROM event_triggers ORDER BY id DESC LIMIT 2 FOR UPDATE`);

    const opened = await waitForEvent(strait, last, "all", broadcast);

    expect([opened.body.status, opened.body.generation]).toEqual(["waiting", 1]);
    await lock.release();
    await send(strait, "all", "yes");
    expect(await countOf(strait, "event_triggers WHERE status = 'received'")).toBe(4);
  });

  test("an idempotency key that is taken elsewhere delays its own requests only", async () => {
    const strait = await startServer({ runsEngine: false });
    const jobId = await givenJob(strait);
    const triggerWith = (key: string) =>
      strait.request("POST", `/v1/jobs/${jobId}/trigger`, {
        body: { payload: {} },
        headers: { "idempotency-key": key },
      });
    await triggerWith("held");
    await strait.db.query(sql`UPDATE run_idempotency SET expires_at = strait_now()`);
    const runs = await hold(strait, sql`SELECT 1 FROM run_idempotency FOR UPDATE`);
    const keys = await hold(
      strait,
      sql`INSERT INTO idempotency_keys (project_id, target, key, body_hash, expires_at)
        SELECT ${strait.projectId}, 'postV1EventsByEventKeySend early ' || default_environment_id, 'held', '', strait_now()
        FROM projects WHERE id = ${strait.projectId}`,
    );
    const { answers, take } = answering();

    const blocked = [
      take("run", triggerWith("held")),
      take("event", send(strait, "early", 1, {}, { "idempotency-key": "held" })),
    ];
    await Promise.all([
      take("other run", triggerWith("other")),
      take("other event", send(strait, "other", 1, {}, { "idempotency-key": "other" })),
    ]);

    expect(Object.keys(answers).toSorted()).toEqual(["other event", "other run"]);
    await eventually(async () => (await blockedSessions(strait)) === 2);
    await runs.release();
    await keys.release();
    await Promise.all(blocked);
    expect(answers.run?.status).toBe(201);
    expect(await countOf(strait, "runs")).toBe(3);
  });

  test("for too long is answered with 503 and Retry-After, and nothing was changed", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const strait = await startServer({ runsEngine: false, env: { LOG_LEVEL: "silent" } });
    await send(strait, "held", 1);
    const lock = await holdKey(strait, "held");

    const blocked = send(strait, "held", 2);
    await eventually(async () => (await blockedSessions(strait)) === 1);
    vi.advanceTimersByTime(3_000);
    const refused = await blocked;

    expect(refused.status).toBe(503);
    expect(refused.body.error.code).toBe("unavailable");
    expect(refused.headers.get("retry-after")).toBe("1");
    await lock.release();
    expect(await countOf(strait, "sends")).toBe(1);
  });
});

describe("more sends and triggers than a server can handle", () => {
  test("are refused with 503 and Retry-After while the others wait", async () => {
    const strait = await startServer({
      runsEngine: false,
      env: { LOG_LEVEL: "silent", MAX_REQUEST_BODY_SIZE: String(64 * 2 ** 20) },
    });
    const locks = await hold(strait, sql`LOCK TABLE event_keys IN ACCESS EXCLUSIVE MODE`);
    const payload = "x".repeat(33 * 2 ** 20);

    const first = send(strait, "first", payload);
    await eventually(async () => (await blockedSessions(strait)) > 0);
    const second = await send(strait, "second", payload);

    expect([second.status, second.body.error.code]).toEqual([503, "unavailable"]);
    expect(second.headers.get("retry-after")).toBe("1");
    await locks.release();
    expect((await first).status).toBe(202);
  });
});

describe("a statement that comes to no end in time", () => {
  test.each(["57014", "40P01", "55P03"])("is 503 with Retry-After, not an error of the server (%s)", async (code) => {
    const strait = await startServer({ runsEngine: false, env: { LOG_LEVEL: "silent" } });
    await strait.db.query({
      text: `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '${code}'; END $$`,
      values: [],
    });
    await strait.db.query(sql`CREATE TRIGGER fail BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION fail()`);

    const refused = await strait.request("POST", "/v1/jobs", {
      body: { name: "Job", slug: "job", endpoint_url: "http://127.0.0.1:1/" },
    });

    expect([refused.status, refused.body.error.code]).toEqual([503, "unavailable"]);
    expect(refused.headers.get("retry-after")).toBe("1");
  });
});

describe("the limit of the time that lanes wait for locks", () => {
  test("costs a hit nothing, and a miss no message of its own", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const [run] = await world.executing(1);
    if (!run) throw new Error("there is no run");
    await waitForEvent(strait, run, "waited");
    const statements = recordStatements();

    await send(strait, "waited", "yes");
    const hit = statements.splice(0).map(({ text }) => text);
    await send(strait, "early", 1);
    const miss = statements.splice(0).map(({ text }) => text);

    expect(hit.filter((text) => /BEGIN|lock_timeout/.test(text))).toEqual([]);
    expect(miss.filter((text) => /BEGIN|lock_timeout/.test(text))).toEqual(["BEGIN; SET LOCAL lock_timeout = 250"]);
    expect(await strait.db.query(sql`SHOW lock_timeout`)).toEqual([{ lock_timeout: "0" }]);
  });
});
