import { describe, expect, test, vi } from "vitest";
import { workflowRunSource } from "../src/http/workflow-run-source.ts";
import { sql } from "../src/store/sql.ts";
import { freshDatabase } from "./database.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { besides, hold, send, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";
import { countSubscriptions, type Frame, open } from "./stream-reader.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const statuses = (frames: readonly (Frame | undefined)[]) => frames.map((frame) => frame?.data.status ?? frame?.event);

const log = (strait: TestServer, run: { id: string; token: string }, message: string) =>
  strait.request("POST", `/sdk/v1/runs/${run.id}/log`, { token: run.token, body: { message } });

describe("the stream of a trigger", () => {
  test("ST-15 T1 shows it as it is, then its end, and closes", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("aml:user-456");

    const stream = await open(strait, "/v1/events/aml:user-456/stream");
    const snapshot = await stream.next();
    await send(strait, "aml:user-456", { result: "clear" });
    const rest = await stream.rest();

    expect(stream.response.headers.get("content-type")).toBe("text/event-stream");
    const { trigger_id: _, ...trigger } = run.trigger;
    expect(snapshot).toMatchObject({ event: "status", id: expect.any(String), data: trigger });
    expect(rest).toMatchObject([
      { event: "status", data: { id: trigger.id, status: "received", response_payload: { result: "clear" } } },
      { event: "end", data: {} },
    ]);
    expect(rest[0]?.id).not.toBe(snapshot?.id);
  });

  test("T1 of one that has ended shows it and ends, and answers 204 to a reader who has seen that", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    await send(strait, "k", 1);

    const frames = await (await open(strait, "/v1/events/k/stream")).rest();
    const again = await open(strait, "/v1/events/k/stream", { headers: { "last-event-id": frames[0]?.id ?? "" } });

    expect(statuses(frames)).toEqual(["received", "end"]);
    expect(again.response.status).toBe(204);
    expect(await again.rest()).toEqual([]);
  });

  test("T3 goes on behind the event that a reader saw last, by header or by query", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const stream = await open(strait, "/v1/events/k/stream");
    const seen = await stream.next();
    await stream.leave();
    await send(strait, "k", 1);

    const byHeader = await open(strait, "/v1/events/k/stream", { headers: { "last-event-id": seen?.id ?? "" } });
    const byQuery = await open(strait, `/v1/events/k/stream?cursor=${seen?.id}`);

    const [first, second] = [await byHeader.rest(), await byQuery.rest()];
    expect(statuses(first)).toEqual(["received", "end"]);
    expect(second).toEqual(first);
  });

  test("T3 says reset, with a snapshot, when the cursor is of another life of the database", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const before = await (await open(strait, "/v1/events/k/stream")).next();
    await strait.db.query(sql`UPDATE database_epoch SET epoch = 'restored-from-backup'`);

    const stream = await open(strait, `/v1/events/k/stream?cursor=${before?.id}`);
    const reset = await stream.next();
    await send(strait, "k", 1);

    expect(reset).toMatchObject({ event: "reset", data: { status: "waiting" } });
    expect(reset?.id).not.toBe(before?.id);
    expect(statuses(await stream.rest())).toEqual(["received", "end"]);
  });

  test("T1 says first how soon to come back", async () => {
    const strait = await startServer();
    await (await startStage(strait)).parked("k");

    const { body } = await strait.fetch("GET", "/v1/events/k/stream");

    const { value } = (await body?.getReader().read()) ?? {};
    expect(new TextDecoder().decode(value)).toBe("retry: 1000\n\n");
  });

  test("T3 is 400 for a cursor of another stream, or of none", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("a");
    await stage.parked("b");
    const foreign = await (await open(strait, "/v1/events/b/stream")).next();

    for (const cursor of [foreign?.id, "nonsense", Buffer.from("a|b").toString("base64url")]) {
      const refused = await strait.request("GET", `/v1/events/a/stream?cursor=${cursor}`);
      expect(refused).toMatchObject({ status: 400, body: { error: { code: "validation_error" } } });
      expect(refused.body.error.details.issues).toMatchObject([{ field: "/query/cursor", rule: "cursor" }]);
      const headers = { "last-event-id": String(cursor) };
      const inHeader = await strait.request("GET", "/v1/events/a/stream", { headers });
      expect(inHeader.status).toBe(400);
      const issue = { field: "/headers/Last-Event-ID", rule: "cursor" };
      expect(inHeader.body.error.details.issues).toMatchObject([issue]);
    }
  });

  test("ST-15 T1 sends a named keepalive while nothing happens", async () => {
    const strait = await startServer({ env: { SSE_KEEPALIVE_INTERVAL: "30ms" } });
    const stage = await startStage(strait);
    await stage.parked("k");
    const stream = await open(strait, "/v1/events/k/stream");

    const frames = [await stream.next(), await stream.next(), await stream.next()];
    await send(strait, "k", 1);

    expect(frames.map((frame) => frame?.event)).toEqual(["status", "keepalive", "keepalive"]);
    expect(frames[1]?.id).toBeUndefined();
    const rest = (await stream.rest()).filter(({ event }) => event !== "keepalive");
    expect(statuses(rest)).toEqual(["received", "end"]);
  });

  test("ST-17 takes a token in the query, where other operations do not", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");

    const stream = await open(strait, `/v1/events/k/stream?token=${strait.apiKey}`, { token: null });
    const elsewhere = await strait.request("GET", `/v1/events?token=${strait.apiKey}`, { token: null });
    const wrong = await strait.request("GET", "/v1/events/k/stream?token=strait_wrong", { token: null });
    const none = await strait.request("GET", "/v1/events/k/stream", { token: null });

    expect(await stream.next()).toMatchObject({ event: "status", data: { status: "waiting" } });
    // An operation that knows no such parameter refuses it before or after it misses the credentials.
    expect([400, 401]).toContain(elsewhere.status);
    expect([wrong.status, none.status]).toEqual([401, 401]);
  });

  test("is 404 for a key that nobody waited on, and for another project's", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const { apiKey } = await strait.anotherProject();
    await stage.parked("k");

    expect((await strait.request("GET", "/v1/events/nobody/stream")).status).toBe(404);
    expect((await strait.request("GET", "/v1/events/k/stream", { token: apiKey })).status).toBe(404);
  });

  test("stays with the wait that it was opened on when the key is waited on again", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k");
    const stream = await open(strait, "/v1/events/k/stream");
    await stream.next();
    await send(strait, "k", 1);
    await stage.parked("k");

    const rest = await stream.rest();

    expect(rest).toMatchObject([{ data: { id: first.trigger.id, status: "received" } }, { event: "end" }]);
  });
});

describe("the stream of a run", () => {
  test("T1 T2 tells every change once, in order, without holes, wherever the reader was cut off", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const path = `/v1/runs/${run.id}/stream`;
    const stream = await open(strait, path);
    const snapshot = await stream.next();
    for (const message of ["one", "two", "three"]) await log(strait, run, message);
    await run.wait("k");
    await send(strait, "k", { approved: true });
    const { runToken: token } = await run.dispatch(2);
    await strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, { token, body: { result: "done" } });

    const frames = await stream.rest();

    expect(statuses([snapshot, ...frames])).toEqual([
      ...Array(4).fill("executing"),
      "waiting",
      "executing",
      "completed",
      "end",
    ]);
    expect(frames.at(-2)?.data).toMatchObject({ result: "done", finished_at: expect.any(String) });
    expect(frames.slice(0, -2).map(({ data }) => [data.result, data.finished_at])).toEqual(Array(5).fill([null, null]));
    const ids = [snapshot?.id, ...frames.slice(0, -1).map(({ id }) => id)];
    expect(new Set(ids).size).toBe(ids.length);
    for (const [place, id] of ids.slice(0, -1).entries()) {
      const resumed = await (await open(strait, path, { headers: { "last-event-id": id ?? "" } })).rest();
      expect(resumed.map((frame) => frame.id)).toEqual([...ids.slice(place + 1), undefined]);
    }
  });

  test("T3 sees each change once however often its reader breaks off", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const path = `/v1/runs/${run.id}/stream`;
    const seen: (string | undefined)[] = [(await (await open(strait, path)).next())?.id];

    for (const message of ["a", "b", "c", "d", "e"]) {
      const stream = await open(strait, path, { headers: { "last-event-id": seen.at(-1) ?? "" } });
      await log(strait, run, message);
      seen.push((await stream.next())?.id);
      await stream.leave();
    }

    const positions = seen.map((id) =>
      Number(
        Buffer.from(id ?? "", "base64url")
          .toString()
          .split("|")[2],
      ),
    );
    expect(positions).toEqual(positions.map((_, n) => (positions[0] ?? 0) + n));
  });
});

describe("what a run has reported before it ended", () => {
  test("T2 is told with the status that the run had then, and without its end", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const path = `/v1/runs/${run.id}/stream`;
    const report = (what: string, body: object) =>
      strait.request("POST", `/sdk/v1/runs/${run.id}/${what}`, { token: run.token, body });
    const seen = await (await open(strait, path)).next();
    await report("log", { message: "one" });
    await report("progress", { percent: 50, message: "half" });
    await report("annotate", { annotations: { pages: "2" } });
    await report("checkpoint", { state: { page: 1 } });
    await report("complete", { result: "done" });

    const frames = await (await open(strait, path, { headers: { "last-event-id": seen?.id ?? "" } })).rest();

    expect(statuses(frames)).toEqual([...Array(4).fill("executing"), "completed", "end"]);
    expect(frames.slice(0, 4).map(({ data }) => [data.result, data.finished_at])).toEqual(Array(4).fill([null, null]));
  });
});

describe("the stream of a run of which a part is not kept", () => {
  test("T3 says reset, with a snapshot, to a reader that is further behind, and goes on without a hole", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const path = `/v1/runs/${run.id}/stream`;
    const stream = await open(strait, path);
    const old = await stream.next();
    await log(strait, run, "one");
    const kept = await stream.next();
    await log(strait, run, "two");
    await strait.db.query(sql`DELETE FROM changes WHERE subject_id = ${run.id} AND message = 'one'`);

    const behind = await open(strait, `${path}?cursor=${old?.id}`);
    const within = await open(strait, `${path}?cursor=${kept?.id}`);

    const [reset, delta] = [await behind.next(), await within.next()];
    expect(reset).toMatchObject({ event: "reset", id: delta?.id, data: { id: run.id } });
    expect(delta?.event).toBe("status");
    await log(strait, run, "three");
    expect(await behind.next()).toEqual(await within.next());
  });

  test("T3 says reset where the hole is in the middle of what the reader has missed", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const path = `/v1/runs/${run.id}/stream`;
    const old = await (await open(strait, path)).next();
    for (const message of ["one", "two", "three"]) await log(strait, run, message);
    await strait.db.query(sql`DELETE FROM changes WHERE subject_id = ${run.id} AND message = 'two'`);

    const behind = await open(strait, `${path}?cursor=${old?.id}`);

    expect((await behind.next())?.event).toBe("reset");
  });
});

describe("the stream of a workflow run", () => {
  const steps = [
    { step_ref: "gate", type: "wait_for_event", event_key: "gate" },
    { step_ref: "work", job_id: "work", depends_on: ["gate"] },
  ];

  test("T1 shows it with its steps as they go, and closes", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, steps);
    const run = await stage.trigger();
    const stream = await open(strait, `/v1/workflow-runs/${run.id}/stream`);

    const snapshot = await stream.next();
    await send(strait, "gate", { ok: true });
    const frames = await stream.rest();

    const stepsOf = (frame: Frame | undefined) =>
      frame?.data.steps.map(({ status }: { status: string }) => status).join(" ");
    expect(snapshot).toMatchObject({ event: "status", data: { id: run.id, status: "running" } });
    expect(stepsOf(snapshot)).toBe("waiting pending");
    expect(frames.at(-1)).toMatchObject({ event: "end" });
    expect(frames.at(-2)).toMatchObject({ event: "status", data: { status: "completed" } });
    expect(stepsOf(frames.at(-2))).toBe("completed completed");
    const again = await open(strait, `/v1/workflow-runs/${run.id}/stream?cursor=${frames.at(-2)?.id}`);
    expect(again.response.status).toBe(204);
  });

  test("T3 is 400 for a cursor of another workflow run", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [{ step_ref: "sleep", type: "sleep", sleep_duration: "1h" }]);
    const [one, other] = [await stage.trigger(), await stage.trigger()];
    const foreign = await (await open(strait, `/v1/workflow-runs/${one.id}/stream`)).next();

    const refused = await strait.request("GET", `/v1/workflow-runs/${other.id}/stream?cursor=${foreign?.id}`);

    expect(refused).toMatchObject({ status: 400, body: { error: { code: "validation_error" } } });
  });

  /** Resolves with where the workflow run stands when everything has been done that can be. */
  async function isQuiet(strait: TestServer, id: string): Promise<{ position: string }> {
    const source = workflowRunSource(strait.db, strait.projectId, id);
    return eventually(async () => {
      const gate = await strait.request("GET", "/v1/events/gate");
      const snapshot = await source.snapshot();
      const next = await source.deltasAfter(snapshot.position);
      return gate.body.status === "waiting" && next?.deltas.length === 0 && !next.hasMore && snapshot;
    });
  }

  /** A change of the workflow run that is not committed yet; the step shows it once it is. */
  async function slowChange(strait: TestServer, id: string) {
    const slow = await hold(
      strait,
      sql`UPDATE step_runs SET error = 'slow' WHERE workflow_run_id = ${id} AND step_ref = 'gate'`,
    );
    await slow.query(sql`
      INSERT INTO changes (project_id, subject_id, sequence, kind, actor, workflow_run_id)
      VALUES (${strait.projectId}, ${id}, 900, 'log', 'test', ${id})`);
    return slow;
  }

  const fastChange = (strait: TestServer, id: string) =>
    strait.db.query(sql`
      INSERT INTO changes (project_id, subject_id, sequence, kind, actor, workflow_run_id)
      VALUES (${strait.projectId}, ${id}, 901, 'log', 'test', ${id})`);

  test("T2 does not go past a slow commit for a fast one that has overtaken it", async () => {
    const strait = await startServer();
    const { id } = await (await startWorkflowStage(strait, steps)).trigger();
    const source = workflowRunSource(strait.db, strait.projectId, id);
    const { position } = await isQuiet(strait, id);
    const slow = await slowChange(strait, id);
    await fastChange(strait, id);

    const meanwhile = await source.deltasAfter(position);
    await slow.release();
    const { deltas } = (await source.deltasAfter(position)) ?? { deltas: [] };

    expect(meanwhile?.deltas).toEqual([]);
    expect(deltas).toMatchObject([{ data: { steps: [{ error: "slow" }, {}] } }]);
    const behind = deltas[0]?.position ?? "";
    expect((await source.deltasAfter(behind))?.deltas).toEqual([]);
  });

  test("T2 does not wait for a transaction of another database", async () => {
    const strait = await startServer();
    const { id } = await (await startWorkflowStage(strait, steps)).trigger();
    const source = workflowRunSource(strait.db, strait.projectId, id);
    const { position } = await isQuiet(strait, id);
    const other = await startServer({ databaseUrl: (await freshDatabase()).url });
    const slow = await hold(other, sql`UPDATE database_epoch SET epoch = epoch`);
    await fastChange(strait, id);

    const next = await source.deltasAfter(position);
    await slow.release();

    expect(next).toMatchObject({ deltas: [{ data: { id } }], hasMore: false });
  });

  test("T2 tells of a slow commit and of the fast one beside it", async () => {
    const strait = await startServer({ env: { SSE_KEEPALIVE_INTERVAL: "30ms" } });
    const { id } = await (await startWorkflowStage(strait, steps)).trigger();
    await isQuiet(strait, id);
    const stream = await open(strait, `/v1/workflow-runs/${id}/stream`);
    let frame = await stream.next();
    while (frame?.event !== "keepalive") frame = await stream.next();
    const slow = await slowChange(strait, id);
    await fastChange(strait, id);
    strait.server.context.signals.publish([`workflow_run:${id}`]);

    // It has looked, and told nothing, when it says that it is alive.
    const quiet = [await stream.next(), await stream.next(), await stream.next()];
    await slow.release();
    while (frame?.event === "keepalive") frame = await stream.next();

    expect(quiet.map((each) => each?.event)).toEqual(["keepalive", "keepalive", "keepalive"]);
    expect(frame).toMatchObject({ event: "status", data: { steps: [{ error: "slow" }, {}] } });
  });
});

describe("a stream of another process", () => {
  async function startTwo() {
    const a = await startServer();
    const b = besides(a, await startServer({ databaseUrl: a.databaseUrl }));
    const run = await (await startStage(a)).run();
    const stream = await open(a, `/v1/runs/${run.id}/stream`);
    await stream.next();
    return { b, run, stream };
  }

  test("T5 tells of a change at once, by NOTIFY", async () => {
    const { b, run, stream } = await startTwo();
    const started = performance.now();

    // Each would wait for the poll, a second, if it were not told.
    for (const message of ["1", "2", "3", "4", "5"]) {
      await log(b, run, message);
      expect((await stream.next())?.event).toBe("status");
    }

    expect(performance.now() - started).toBeLessThan(3_000);
  });

  test("T5 tells of a change whose NOTIFY was lost, by its poll", async () => {
    const { b, run, stream } = await startTwo();
    vi.spyOn(b.server.context.signals, "publish").mockImplementation(() => {});

    await log(b, run, "nobody is told");

    expect((await stream.next())?.event).toBe("status");
  });
});

describe("many streams", () => {
  test("T5 are looked after by one statement a second, and read nothing while nothing happens", async () => {
    const strait = await startServer({ runsEngine: false });
    const steps = [{ step_ref: "rest", type: "sleep", sleep_duration: "1h" }];
    const paths: string[] = [];
    const workflows = await startWorkflowStage(strait, steps);
    for (let n = 0; n < 5; n++) {
      const { id } = await workflows.trigger();
      paths.push(`/v1/workflow-runs/${id}/stream`, `/v1/workflow-runs/${id}/stream`);
    }
    const streams = await Promise.all(paths.map((path) => open(strait, path)));
    for (const stream of streams) await stream.next();
    const polls = () => recorded.filter(({ text }) => text.includes("changes c")).length;

    const recorded = recordStatements();
    // The first two may come upon what the workflows did last.
    await eventually(async () => polls() >= 2);
    const settled = recorded.length;
    await eventually(async () => polls() >= 4);

    const others = recorded.slice(settled).filter(({ text }) => !text.includes("changes c"));
    expect(others.filter(({ text }) => /\b(changes|workflow_runs|step_runs)\b/.test(text))).toEqual([]);
  });

  test("T5 outlive an outage of the database", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const stream = await open(strait, `/v1/runs/${run.id}/stream`);
    await stream.next();
    const { db } = strait.server.context;
    const query = vi.spyOn(db, "query").mockRejectedValue(new Error("the database is away"));
    strait.server.context.signals.publish([`run:${run.id}`]);
    await eventually(async () => query.mock.calls.length > 0);
    query.mockRestore();

    await log(strait, run, "it is back");

    expect((await stream.next())?.event).toBe("status");
  });

  test("T7 of one project are limited: 429 with Retry-After, until one has ended", async () => {
    const strait = await startServer({ env: { STRAIT_MAX_STREAMS_PER_PROJECT: "2" } });
    const other = await strait.anotherProject();
    const stage = await startStage(strait);
    await stage.parked("k");
    const path = "/v1/events/k/stream";
    const [first] = [await open(strait, path), await open(strait, path)];

    const refused = await strait.request("GET", path);
    const foreign = await strait.request("GET", path, { token: other.apiKey });
    await first?.leave();
    const after = await open(strait, path);

    expect(refused).toMatchObject({ status: 429, body: { error: { code: "rate_limited" } } });
    expect(refused.headers.get("retry-after")).toBe("5");
    expect(foreign.status).toBe(404);
    expect(after.response.status).toBe(200);
    await send(strait, "k", 1);
    await after.rest();
    expect((await open(strait, path)).response.status).toBe(200);
  });
});

describe("a reader that goes away", () => {
  test("frees the subscription, as the end of a stream does", async () => {
    const strait = await startServer();
    const subscribed = countSubscriptions(strait);
    const stage = await startStage(strait);
    await stage.parked("k");
    await stage.parked("other");
    const leaving = await open(strait, "/v1/events/other/stream");
    const [one, staying] = [await open(strait, "/v1/events/k/stream"), await open(strait, "/v1/events/k/stream")];
    for (const stream of [leaving, one, staying]) await stream.next();
    // Those who follow the same share one.
    await eventually(async () => subscribed() === 2);

    await leaving.leave();
    await one.leave();
    await eventually(async () => subscribed() === 1);
    await send(strait, "k", 1);
    await staying.rest();

    expect(subscribed()).toBe(0);
  });

  test("gets the end of the response when the process stops, and no end of the stream", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    const stream = await open(strait, "/v1/events/k/stream");
    await stream.next();

    const closing = strait.close();

    expect(await stream.rest()).toEqual([]);
    await closing;
  });
});
