import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage, waitForEvent } from "./stage.ts";

const refusal = (status: number, code: string) => ({ status, body: { error: { code } } });

/** The numbers of the transactions that made the final changes of the given subjects. */
async function transactionsOf(strait: TestServer, status: string): Promise<string[]> {
  const rows = await strait.db.query<{ xid: string; kind: string }>(sql`
    SELECT xid::text, split_part(subject_id, '_', 1) AS kind FROM changes WHERE after = ${status} ORDER BY kind`);
  expect(new Set(rows.map(({ xid }) => xid)).size).toBe(1);
  return rows.map(({ kind }) => kind);
}

describe("canceling a wait", () => {
  test("R5 ends its run as canceled, with the reason, and says who did it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("aml:user-456");

    const canceled = await strait.request("DELETE", "/v1/events/aml%3Auser-456?reason=user%20left");

    expect(canceled).toMatchObject({
      status: 200,
      body: {
        id: run.trigger.id,
        status: "canceled",
        error: expect.stringMatching(/^event trigger canceled by apikey:key_\w+: user left$/),
        cancellation: { kind: "canceled", reason: "user left", actor: expect.stringMatching(/^apikey:key_/) },
        received_at: null,
      },
    });
    expect(canceled.body.finished_at).not.toBeNull();
    await run.is("canceled");
    expect((await run.read()).error).toBe(canceled.body.error);
    const [change] = await strait.db.query<{ actor: string; message: string }>(sql`
      SELECT actor, message FROM changes WHERE subject_id = ${run.trigger.id} AND after = 'canceled'`);
    expect(change).toEqual({ actor: expect.stringMatching(/^apikey:key_/), message: canceled.body.error });
    expect(stage.executor.dispatches).toHaveLength(1);
  });

  test("R5 dispatches its run again when that is to resume", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("aml:user-456", { on_cancel: "resume" });

    const canceled = await strait.request("DELETE", "/v1/events/aml:user-456?reason=user%20left");

    const { headers } = await run.dispatch(2);
    expect(headers).toMatchObject({ "x-attempt": "1", "x-dispatch": "2", "x-resume-reason": "canceled" });
    const { cancellation } = canceled.body;
    expect(cancellation).toMatchObject({ kind: "canceled", reason: "user left", details: null });
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual(cancellation);
    expect((await run.read()).checkpoint).toEqual(cancellation);
  });

  test("is 409 wait_closed when it has ended, and 404 when there never was one", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k");
    await send(strait, "k", 1);

    expect(await strait.request("DELETE", "/v1/events/k")).toMatchObject(refusal(409, "wait_closed"));
    expect(await strait.request("DELETE", "/v1/events/unknown")).toMatchObject(refusal(404, "not_found"));
    expect((await eventOf(strait, "k")).body.status).toBe("received");
  });

  test("leaves an event that is buffered for the key alone", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "k", "early");

    expect(await strait.request("DELETE", "/v1/events/k")).toMatchObject(refusal(404, "not_found"));

    expect((await (await stage.run()).wait("k")).body.response_payload).toBe("early");
  });

  test("R2 times it out instead once its deadline has passed", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startStage(strait);
    const starting = stage.parked("k", { timeout_secs: 60 });
    await eventually(async () => (await strait.db.query(sql`SELECT FROM run_queue`)).length > 0);
    await strait.tick("dispatch-runs");
    const run = await starting;
    await advanceClock(strait.db, 60_000);

    const late = await strait.request("DELETE", "/v1/events/k");

    expect(late).toMatchObject(refusal(409, "wait_closed"));
    expect(late.body.error.details.status).toBe("timed_out");
    await strait.tick("wake-owners");
    expect((await run.read()).status).toBe("timed_out");
  });

  test("ST-19 fails its step at once, and the workflow run with it", async () => {
    const strait = await startServer();
    const steps = [{ step_ref: "aml-check", type: "wait_for_event", event_key: "aml:{{payload.user_id}}" }];
    await strait.request("POST", "/v1/workflows", { body: { name: "KYC", slug: "kyc", steps } });
    const started = await strait.request("POST", "/v1/workflows/kyc/trigger", { body: { payload: { user_id: "u1" } } });

    await strait.request("DELETE", "/v1/events/aml:u1?reason=fraud");

    const run = await eventually(async () => {
      const { body } = await strait.request("GET", `/v1/workflow-runs/${started.body.id}`);
      return body.status !== "running" && body;
    });
    expect(run).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/^step "aml-check" failed: event trigger canceled by apikey:key_\w+: fraud$/),
    });
    const { body } = await strait.request("GET", `/v1/workflow-runs/${started.body.id}/steps`);
    expect(body.data).toMatchObject([{ status: "failed", error: expect.stringMatching(/: fraud$/) }]);
  });
});

describe("canceling a run", () => {
  test("R6 cancels its wait in the same transaction, and frees the key", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");

    const canceled = await strait.request("DELETE", `/v1/runs/${run.id}?reason=obsolete`);

    expect(canceled).toMatchObject({ status: 200, body: { status: "canceled", error: "run canceled: obsolete" } });
    expect((await eventOf(strait, "k")).body).toMatchObject({ status: "canceled", error: "run canceled: obsolete" });
    expect(await transactionsOf(strait, "canceled")).toEqual(["run", "trg"]);
    expect(await send(strait, "k", 1)).toMatchObject(refusal(409, "wait_closed"));
    expect((await stage.parked("k")).trigger.generation).toBe(2);
  });

  test("R6 does not dispatch it again although its wait would have resumed it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { on_cancel: "resume" });

    await strait.request("DELETE", `/v1/runs/${run.id}`);
    await strait.tick();

    expect((await run.read()).status).toBe("canceled");
    expect(stage.executor.dispatches).toHaveLength(1);
    expect(await strait.db.query(sql`SELECT FROM run_wakes`)).toEqual([]);
  });

  test("is 409 illegal_move when it has ended, and refuses what its code still sends", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await strait.request("DELETE", `/v1/runs/${run.id}`);

    expect(await strait.request("DELETE", `/v1/runs/${run.id}`)).toMatchObject(refusal(409, "illegal_move"));
    expect(await run.wait("k")).toMatchObject(refusal(409, "run_closed"));
    expect(await strait.request("DELETE", "/v1/runs/run_unknown")).toMatchObject(refusal(404, "not_found"));
  });

  test("aborts the call of its executor", async () => {
    const strait = await startServer();
    const stage = await startStage(strait, () => new Promise(() => {}));
    const run = await stage.run();
    expect(strait.server.dispatcher.inFlight).toBe(1);

    await strait.request("DELETE", `/v1/runs/${run.id}`);

    await eventually(async () => strait.server.dispatcher.inFlight === 0);
    expect((await run.read()).status).toBe("canceled");
  });
});

describe("a run that ends by itself", () => {
  test.each([
    ["complete", { result: 1 }, "completed"],
    ["fail", { error: "no need any more", retryable: false }, "failed"],
  ])("R6 with %s while it waits cancels its wait in the same transaction", async (call, body, status) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");

    const ended = await strait.request("POST", `/sdk/v1/runs/${run.id}/${call}`, { token: run.token, body });

    expect(ended).toMatchObject({ status: 200, body: { status } });
    expect((await eventOf(strait, "k")).body).toMatchObject({ status: "canceled", error: `the run is ${status}` });
    const rows = await strait.db.query<{ count: number }>(sql`
      SELECT count(DISTINCT xid)::int AS count FROM changes WHERE after IN ('canceled', ${status})`);
    expect(rows).toEqual([{ count: 1 }]);
  });
});

describe("canceling a workflow run", () => {
  async function startedWorkflow(strait: TestServer) {
    const stage = await startStage(strait);
    const steps = [
      { step_ref: "job", job_id: "review" },
      { step_ref: "wait", type: "wait_for_event", event_key: "gate" },
      { step_ref: "sleep", type: "sleep", sleep_duration: "24h" },
      { step_ref: "later", job_id: "review", depends_on: ["job", "wait", "sleep"] },
    ];
    await strait.request("POST", "/v1/workflows", { body: { name: "All", slug: "all", steps } });
    const started = await strait.request("POST", "/v1/workflows/all/trigger", { body: {} });
    const [dispatch] = await stage.executor.received(1);
    return { stage, id: started.body.id, dispatch };
  }

  test("R6 closes its steps, their runs and their waits in one transaction", async () => {
    const strait = await startServer();
    const { id, dispatch } = await startedWorkflow(strait);
    const token = dispatch?.runToken ?? "";
    const parked = await waitForEvent(strait, { id: dispatch?.runId ?? "", token }, "of-the-job");
    expect(parked.body.status).toBe("waiting");

    const canceled = await strait.request("DELETE", `/v1/workflow-runs/${id}?reason=stop`);

    expect(canceled).toMatchObject({ status: 200, body: { status: "canceled", error: "workflow run canceled: stop" } });
    const steps = await strait.request("GET", `/v1/workflow-runs/${id}/steps`);
    expect(steps.body.data.map(({ status }: { status: string }) => status)).toEqual(Array(4).fill("canceled"));
    expect((await strait.request("GET", `/v1/runs/${dispatch?.runId}`)).body.status).toBe("canceled");
    for (const key of ["gate", "of-the-job"]) expect((await eventOf(strait, key)).body.status).toBe("canceled");
    expect(await strait.db.query(sql`SELECT FROM event_triggers WHERE status = 'waiting'`)).toEqual([]);
    expect(await transactionsOf(strait, "canceled")).toEqual([
      "run",
      ...Array(4).fill("step"),
      ...Array(3).fill("trg"),
      "wfr",
    ]);
  });

  test("starts nothing more, whatever comes afterwards", async () => {
    const strait = await startServer();
    const { id, stage } = await startedWorkflow(strait);
    await strait.request("DELETE", `/v1/workflow-runs/${id}`);

    const late = await send(strait, "gate", 1);
    await strait.advance(24 * 3_600_000);

    expect(late).toMatchObject(refusal(409, "wait_closed"));
    expect(await strait.request("DELETE", `/v1/workflow-runs/${id}`)).toMatchObject(refusal(409, "illegal_move"));
    const { body } = await strait.request("GET", `/v1/workflow-runs/${id}`);
    expect(body.status).toBe("canceled");
    expect(stage.executor.dispatches).toHaveLength(1);
    expect(await strait.db.query(sql`SELECT FROM workflow_advances`)).toEqual([]);
  });

  test("is 404 for one of another project", async () => {
    const strait = await startServer();
    const { id } = await startedWorkflow(strait);
    const { apiKey } = await strait.anotherProject();

    const refused = await strait.request("DELETE", `/v1/workflow-runs/${id}`, { token: apiKey });

    expect(refused).toMatchObject(refusal(404, "not_found"));
    expect((await strait.request("GET", `/v1/workflow-runs/${id}`)).body.status).toBe("running");
  });
});
