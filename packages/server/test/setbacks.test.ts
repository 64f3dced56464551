import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sql } from "../src/store/sql.ts";
import { blockedSessions } from "./given.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { hold, send } from "./stage.ts";
import { type StagedWorkflowRun, startWorkflowStage } from "./workflow-stage.ts";

const SILENT = { runsEngine: false, env: { LOG_LEVEL: "silent" } } as const;

/** Time between tries passes when the test says so. */
function holdPauses(): void {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Makes PostgreSQL refuse what matches: a fault that no repetition heals. */
async function breakFor(strait: TestServer, table: string, event: string, condition: string): Promise<void> {
  await strait.db.query({
    text: `CREATE FUNCTION break_it() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'broken on purpose' USING ERRCODE = 'XX001'; END $$`,
    values: [],
  });
  await strait.db.query({
    text: `CREATE TRIGGER break_it BEFORE ${event} ON ${table} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION break_it()`,
    values: [],
  });
}

/** Workflow runs whose first step waits for an event and whose second one is to be started once it has come. */
async function gated(strait: TestServer, count: number): Promise<StagedWorkflowRun[]> {
  const stage = await startWorkflowStage(strait, [
    { step_ref: "gate", type: "wait_for_event", event_key: "gate:{{payload.n}}" },
    { step_ref: "behind", type: "sleep", sleep_duration: "1h", depends_on: ["gate"] },
    { step_ref: "beside", type: "wait_for_event", event_key: "beside:{{payload.n}}" },
  ]);
  const runs: StagedWorkflowRun[] = [];
  for (let n = 0; n < count; n++) runs.push(await stage.trigger({ n }));
  return runs;
}

describe("wake-owners", () => {
  test("comes to every workflow run, however many before it fail", async () => {
    const strait = await startServer(SILENT);
    await strait.tick();
    const [last] = await gated(strait, 1);
    await send(strait, "gate:0", 1);
    await strait.db.query(sql`
      WITH broken AS (
        INSERT INTO workflow_runs (project_id, id, environment_id, workflow_id, workflow_version, status, payload, triggered_by)
        SELECT project_id, 'wfr_0' || n, environment_id, workflow_id, workflow_version, 'running', 'null', 'broken'
        FROM workflow_runs, generate_series(1, 450) AS n RETURNING project_id, id)
      INSERT INTO workflow_advances (project_id, workflow_run_id) SELECT project_id, id FROM broken`);
    await breakFor(strait, "workflow_runs", "UPDATE", "NEW.triggered_by = 'broken'");

    await strait.tick("wake-owners");

    expect(await last?.statuses()).toEqual({ gate: "completed", behind: "waiting", beside: "waiting" });
  });

  test("ends a workflow run that fails whenever it is advanced, and says why", async () => {
    holdPauses();
    const strait = await startServer(SILENT);
    const [broken, other] = await gated(strait, 2);
    await breakFor(
      strait,
      "step_runs",
      "UPDATE",
      `NEW.workflow_run_id = '${broken?.id}' AND NEW.step_ref = 'behind' AND NEW.status = 'waiting'`,
    );
    await send(strait, "gate:0", 1);
    await send(strait, "gate:1", 1);

    for (let tries = 1; tries <= 5; tries++) {
      await strait.tick("wake-owners");
      expect(await broken?.read()).toMatchObject({ status: "running", error: null });
      vi.advanceTimersByTime(10_000);
    }
    await strait.tick("wake-owners");

    expect(await broken?.read()).toMatchObject({
      status: "failed",
      error: "the workflow run could not go on, and was tried 6 times: the server's log says why",
    });
    expect(await broken?.statuses()).toEqual({ gate: "completed", behind: "canceled", beside: "canceled" });
    expect(await other?.statuses()).toEqual({ gate: "completed", behind: "waiting", beside: "waiting" });
    expect(await strait.db.query(sql`SELECT FROM workflow_advances`)).toEqual([]);
  });

  test("tries a workflow run again for as long as somebody holds what it needs, and holds up nobody meanwhile", async () => {
    holdPauses();
    const strait = await startServer(SILENT);
    const stage = await startWorkflowStage(strait, [
      { step_ref: "gate", type: "wait_for_event", event_key: "gate:{{payload.n}}" },
      { step_ref: "next", type: "wait_for_event", event_key: "next:{{payload.n}}", depends_on: ["gate"] },
    ]);
    const [held, other] = [await stage.trigger({ n: 0 }), await stage.trigger({ n: 1 })];
    await strait.db.query(sql`
      INSERT INTO event_keys (project_id, environment_id, event_key)
      SELECT id, default_environment_id, 'next:0' FROM projects WHERE id = ${strait.projectId}`);
    const lock = await hold(strait, sql`SELECT 1 FROM event_keys WHERE event_key = 'next:0' FOR UPDATE`);
    for (const n of [0, 1]) await send(strait, `gate:${n}`, 1);

    for (let tries = 1; tries <= 8; tries++) {
      await strait.tick("wake-owners");
      vi.advanceTimersByTime(10_000);
    }

    expect(await held.statuses()).toEqual({ gate: "completed", next: "pending" });
    expect(await other.statuses()).toEqual({ gate: "completed", next: "waiting" });
    await lock.release();
    await strait.tick("wake-owners");
    expect(await held.statuses()).toEqual({ gate: "completed", next: "waiting" });
  });
});

describe("emit-due-events", () => {
  async function emitters(strait: TestServer, count: number): Promise<StagedWorkflowRun[]> {
    const stage = await startWorkflowStage(strait, [
      {
        step_ref: "gate",
        type: "wait_for_event",
        event_key: "gate:{{payload.n}}",
        event_emit_key: "done:{{payload.n}}",
      },
    ]);
    const runs: StagedWorkflowRun[] = [];
    for (let n = 0; n < count; n++) runs.push(await stage.trigger({ n }));
    for (let n = 0; n < count; n++) await send(strait, `gate:${n}`, n);
    return runs;
  }

  const emitted = (strait: TestServer) =>
    strait.db
      .query<{ event_key: string }>(sql`SELECT event_key FROM sends WHERE channel = 'emit' ORDER BY event_key`)
      .then((rows) => rows.map(({ event_key }) => event_key));

  test("sends what is due beside a step whose event PostgreSQL refuses, and tells it on that step in the end", async () => {
    holdPauses();
    const strait = await startServer(SILENT);
    const runs = await emitters(strait, 5);
    await breakFor(strait, "events", "INSERT", "NEW.event_key = 'done:2'");

    await strait.tick("emit-due-events");

    expect(await emitted(strait)).toEqual(["done:0", "done:1", "done:3", "done:4"]);
    for (let tries = 2; tries <= 6; tries++) {
      expect((await runs[2]?.steps())?.gate).toMatchObject({ emit_error: null });
      vi.advanceTimersByTime(10_000);
      await strait.tick("emit-due-events");
    }
    expect((await runs[2]?.steps())?.gate).toMatchObject({
      status: "completed",
      emit_error: "it could not be sent, and was tried 6 times; the server's log says why",
    });
    expect(await strait.db.query(sql`SELECT FROM step_runs WHERE emit_due`)).toEqual([]);
  });

  test("sends what is due beside a key that somebody holds, and that event when the key is free", async () => {
    holdPauses();
    const strait = await startServer(SILENT);
    await send(strait, "done:1", "earlier");
    const lock = await hold(strait, sql`SELECT 1 FROM event_keys WHERE event_key = 'done:1' FOR UPDATE`);
    await emitters(strait, 3);

    for (let tries = 1; tries <= 8; tries++) {
      await strait.tick("emit-due-events");
      vi.advanceTimersByTime(10_000);
    }
    expect(await emitted(strait)).toEqual(["done:0", "done:2"]);
    await eventually(async () => (await blockedSessions(strait)) === 0);
    await lock.release();
    await strait.tick("emit-due-events");

    expect(await emitted(strait)).toEqual(["done:0", "done:1", "done:2"]);
  });
});
