import { describe, expect, test } from "vitest";
import { findRecorded } from "../src/store/events.ts";
import { openSession } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { freshDatabase } from "./database.ts";
import { givenJob, runIs, trigger, triggerMany } from "./given.ts";
import { indexesOf, lookupsOf, type Plan, plain, plansOf, wholeScans } from "./plans.ts";
import { eventually, startExecutor, startServer, type TestServer } from "./server.ts";
import { recordStatements } from "./statements.ts";

/** Drives everything that happens on the way of a run, a wait and a workflow, and returns the statements that did it. */
async function hotStatements(): Promise<string[]> {
  const strait = await startServer();
  const recorded = recordStatements();
  await driveRuns(strait);
  await driveWaits(strait);
  await driveWorkflow(strait);
  await driveUpkeep(strait);
  for (const task of ["find-strays", "rescue-runs", "purge", "watch-deadlines"]) await strait.tick(task);
  await strait.close();
  return [...new Set(recorded.map(({ text }) => text))].filter((text) =>
    /^\s*(SELECT|WITH|INSERT|UPDATE|DELETE)/.test(text),
  );
}

async function driveRuns(strait: TestServer): Promise<void> {
  const executor = await startExecutor(({ path }) => ({ status: path === "/fails" ? 429 : 200 }));
  const job = await givenJob(strait, { endpoint_url: executor.url });
  const failing = { endpoint_url: `${executor.url}/fails`, fallback_endpoint_url: `${executor.url}/fails` };
  const fails = await givenJob(strait, { ...failing, max_attempts: 2, payload_schema: { type: "object" } });
  const ids = [(await trigger(strait, job)).id, ...(await triggerMany(strait, job, 20, { ttl_secs: 600 }))];
  for (const key of ["one", "one", "other"]) {
    const { body } = await strait.request("POST", `/v1/jobs/${job}/trigger`, {
      body: {},
      headers: { "idempotency-key": key },
    });
    ids.push(body.id);
  }
  for (const id of ids) await runIs(strait, id, "completed");
  const failed = await trigger(strait, fails);
  await runIs(strait, failed.id, "queued");
  const scheduled_at = new Date(strait.server.context.clock.nowMs() + 60_000).toISOString();
  const delayed = await trigger(strait, job, { scheduled_at, ttl_secs: 600 });
  await strait.advance(120_000);
  await runIs(strait, delayed.id, "completed");
  await runIs(strait, failed.id, "dead_letter");
}

async function driveWaits(strait: TestServer): Promise<void> {
  const executor = await startExecutor(() => ({ status: 202 }));
  const job = await givenJob(strait, { endpoint_url: executor.url });
  const call = async (path: string, body: object) => {
    const run = await trigger(strait, job);
    await eventually(async () => executor.dispatches.some(({ runId }) => runId === run.id));
    const asRun = { token: run.token };
    for (const [report, what] of [
      ["heartbeat", {}],
      ["log", { message: "m" }],
      ["progress", { percent: 1, message: "m" }],
      ["checkpoint", { state: { n: 1 } }],
    ] as const) {
      await strait.request("POST", `/sdk/v1/runs/${run.id}/${report}`, { ...asRun, body: what });
    }
    expect((await strait.request("POST", `/sdk/v1/runs/${run.id}/${path}`, { ...asRun, body })).status).toBe(200);
    return run.id;
  };
  const options = { timeout_secs: 60, on_cancel: "resume", notify_url: `${executor.url}/ready` };
  const wait = (event_key: string, more = {}) => call("wait-for-event", { event_key, ...options, ...more });
  const send = (key: string, body: object, headers = {}) =>
    strait.request("POST", `/v1/events/${key}/send`, { body, headers });

  await wait("sent");
  await send("sent", { payload: 1 });
  await send("sent", { payload: 1 });
  await send("sent", { payload: 2, for_next: true }, { "idempotency-key": "once" });
  await wait("sent");
  await wait("canceled");
  await strait.request("POST", "/v1/events/canceled/extend", { body: { timeout_secs: 90 } });
  await strait.request("DELETE", "/v1/events/canceled");
  for (const on_conflict of ["replace", "join", "replace", "join"]) await wait("shared", { on_conflict });
  await strait.request("GET", "/v1/events/shared");
  await send("shared", { payload: 1, trigger_id: "trg_01k0000000e00800000000none" });
  await send("shared", { payload: 1 });
  await wait("rejected");
  for (const _ of [1, 2]) await strait.request("POST", "/v1/events/rejected/reject", { body: { reason: "no" } });
  const canceled = await wait("with its run");
  await strait.request("DELETE", `/v1/runs/${canceled}`);
  const late = await wait("late");
  await strait.advance(120_000);
  await runIs(strait, late, "timed_out");
  const waits = ["left", "right"].map((event_key) => ({ event_key }));
  await call("wait-for-events", { mode: "all", waits, timeout_secs: 60 });
  for (const { event_key } of waits) await send(event_key, { payload: 1 });
  const talking = await call("inbox/receive", { names: ["chat"], timeout_secs: 60 });
  for (const name of ["aside", "chat"]) {
    await strait.request("POST", `/v1/runs/${talking}/inbox/${name}`, {
      body: {},
      headers: { "idempotency-key": name },
    });
  }
  await strait.request("GET", `/v1/runs/${talking}/inbox?unread=true`);
  await call("complete", { result: 1 });
  await call("fail", { error: "e" });
}

async function driveUpkeep(strait: TestServer): Promise<void> {
  expect((await strait.request("GET", "/v1/events/stats")).status).toBe(200);
  for (const path of ["sends", "sends?disposition=late", "explain"]) {
    for (const key of ["sent", "nobody"]) {
      expect((await strait.request("GET", `/v1/events/${key}/${path}`)).status).toBe(200);
    }
  }
  for (const age of [{ older_than_days: 1 }, { before: "2100-01-01T00:00:00Z" }]) {
    expect((await strait.request("POST", "/v1/events/purge", { body: age })).status).toBe(200);
  }
}

async function driveWorkflow(strait: TestServer): Promise<void> {
  const executor = await startExecutor();
  const job_id = await givenJob(strait, { endpoint_url: executor.url });
  const steps = [
    { step_ref: "a", job_id },
    { step_ref: "b", type: "sleep", sleep_duration: "30s", depends_on: ["a"] },
    { step_ref: "c", type: "wait_for_event", event_key: "c", depends_on: ["b"] },
  ];
  expect((await strait.request("POST", "/v1/workflows", { body: { name: "w", slug: "w", steps } })).status).toBe(201);
  const { body } = await strait.request("POST", "/v1/workflows/w/trigger", { body: {} });
  const stream = await strait.fetch("GET", `/v1/workflow-runs/${body.id}/stream`);
  const stepIs = (n: number, status: string) =>
    eventually(async () => {
      const { body: page } = await strait.request("GET", `/v1/workflow-runs/${body.id}/steps`);
      return page.data[n].status === status;
    });
  await stepIs(1, "waiting");
  await strait.advance(60_000);
  await stepIs(2, "waiting");
  const { body: waiting } = await strait.fetch("GET", "/v1/events/c/stream");
  await strait.request("POST", "/v1/events/c/send", { body: { payload: 1 } });
  await stepIs(2, "completed");
  await Promise.all([stream.text(), new Response(waiting).text()]);
}

async function wholeScansOf(databaseUrl: string, statements: readonly string[]): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const [text, plan] of await plansOf(databaseUrl, statements)) {
    const scans = wholeScans(plan);
    if (scans.length > 0) found[text] = scans;
  }
  return found;
}

/** As much as makes a wrong plan expensive, and the statistics that tell the planner so, unless it is to do without. */
async function fill(databaseUrl: string, last = "ANALYZE"): Promise<void> {
  const session = await openSession(databaseUrl, "test");
  const rows = (count: number) => `FROM generate_series(1, ${count}) AS n`;
  for (const text of [
    `INSERT INTO projects (id, name, default_environment_id) SELECT 'p' || n, 'p', 'e' ${rows(2_000)}`,
    `INSERT INTO environments (project_id, id, name) SELECT 'p' || n, 'e', 'n' ${rows(2_000)}`,
    `INSERT INTO api_keys (project_id, id, environment_id, name, key_prefix, key_hash, scopes) SELECT 'p' || n, 'k', 'e', 'n', 'p', n, '{*}' ${rows(2_000)}`,
    `INSERT INTO jobs (project_id, id, environment_id, name, slug, endpoint_url, max_attempts, timeout_secs, retry_strategy)
      SELECT 'p' || n % 50 + 1, 'j' || n, 'e', 'j', 'j' || n, 'http://x', 3, 300, 'fixed' ${rows(500)}`,
    `INSERT INTO leases (process, expires_at) SELECT 'p', strait_now() ${rows(50)}`,
    `INSERT INTO runs (project_id, id, environment_id, job_id, job_version, status, max_attempts, payload, triggered_by, lease_id)
      SELECT 'p' || n % 50 + 1, 'r' || n, 'e', 'j' || n % 500, 1, 'executing', 3, '{}', 'manual', n % 50 ${rows(10_000)}`,
    `INSERT INTO run_bodies SELECT 'p' || n % 50 + 1, 'r' || n, 'payload', 0, '{}' ${rows(5_000)}`,
    `INSERT INTO run_queue (project_id, priority, ready_at, run_id) SELECT 'p' || n % 50 + 1, 0, strait_now(), 'r' || n ${rows(20_000)}`,
    `INSERT INTO run_schedule SELECT strait_now(), 'p' || n % 50 + 1, 'r' || n ${rows(20_000)}`,
    `INSERT INTO run_deadlines SELECT strait_now(), 'p' || n % 50 + 1, 'r' || n, 'expire', 0 ${rows(20_000)}`,
    `INSERT INTO run_idempotency SELECT 'p' || n % 50 + 1, 'j' || n % 500, 'k' || n, 'r' || n, '', strait_now() ${rows(5_000)}`,
    `INSERT INTO idempotency_keys SELECT 'p' || n % 50 + 1, 't', 'k' || n, '', 200, '', strait_now(), strait_now() ${rows(5_000)}`,
    `INSERT INTO event_keys SELECT 'p' || n % 50 + 1, 'e', 'k' || n, 1, 't' || n ${rows(10_000)}`,
    `INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, job_run_id, expires_at, closes_at)
      SELECT 'p' || n % 50 + 1, 't' || n, 'e', 'k' || n, 1, 'job_run', 'event', 'r' || n, strait_now(), strait_now() ${rows(10_000)}`,
    `INSERT INTO events (project_id, id, environment_id, event_key, disposition, payload, payload_digest, actor, channel, expires_at)
      SELECT 'p' || n % 50 + 1, 'v' || n, 'e', 'k' || n, 'buffered', '1', '', 'a', 'api', strait_now() ${rows(10_000)}`,
    `INSERT INTO run_inboxes SELECT 'p' || n % 50 + 1, 'r' || n ${rows(10_000)}`,
    `INSERT INTO inbox_messages (project_id, run_id, sequence, id, name, payload, disposition, actor, idempotency_key)
      SELECT 'p' || n % 50 + 1, 'r' || n, 1, 'm' || n, 'chat', '1', 'buffered', 'a', 'k' ${rows(10_000)}`,
    `INSERT INTO webhook_deliveries (project_id, id, event_type, event_trigger_id, webhook_url, payload, next_retry_at)
      SELECT 'p' || n % 50 + 1, 'd' || n, 'trigger.waiting', 't' || n, 'http://x', '{}', strait_now() ${rows(10_000)}`,
    `INSERT INTO workflow_runs (project_id, id, environment_id, workflow_id, workflow_version, payload, triggered_by)
      SELECT 'p' || n % 50 + 1, 'w' || n, 'e', 'wf', 1, '1', 'manual' ${rows(5_000)}`,
    `INSERT INTO step_runs (project_id, id, workflow_run_id, position, step_ref, type)
      SELECT 'p' || n % 50 + 1, 's' || n, 'w' || n, 0, 'a', 'job' ${rows(5_000)}`,
    `INSERT INTO changes (project_id, subject_id, sequence, kind, actor, workflow_run_id)
      SELECT 'p' || n % 50 + 1, 'r' || n, 1, 'status', 'a', 'w' || n ${rows(10_000)}`,
    last,
  ]) {
    await session.query(plain(text));
  }
  await session.close();
}

/** As many as there were when the planner mistook the index of what waits in a project for the better one. */
async function fillWaits(databaseUrl: string, count: number): Promise<void> {
  const session = await openSession(databaseUrl, "test");
  await session.query(
    plain(
      `INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, job_run_id)
        SELECT 'proj_01k0000000e00800000000none', 'trg_01k0000000e0080000' || lpad(n::text, 8, '0'), 'env_01k0000000e00800000000none',
          'evt-12345-' || n, 1, 'job_run', 'event', 'run_01k0000000e0080000' || lpad(n::text, 8, '0')
        FROM generate_series(1, ${count}) AS n`,
    ),
  );
  await session.close();
}

/** Indexes of triggers of which all that a project has is read. */
async function scansOfTriggers(databaseUrl: string, statements: readonly string[]): Promise<string[]> {
  const scansOf = (plan: Plan): string[] => {
    const { "Index Name": index = "", "Index Cond": condition = "", Plans: below = [] } = plan;
    const isWide = index.startsWith("event_triggers_") && !/\b(id|event_key) = /.test(condition);
    return [...(isWide ? [index] : []), ...below.flatMap(scansOf)];
  };
  return [...(await plansOf(databaseUrl, statements)).values()].flatMap(scansOf);
}

describe("Q5 no hot statement reads a table from end to end", () => {
  test("by a plan that was made on an empty database, nor by one that was made on a filled one", async () => {
    const statements = await hotStatements();
    const [empty, filled] = [await freshDatabase(), await freshDatabase()];
    await fill(filled.url);

    const found = [await wholeScansOf(empty.url, statements), await wholeScansOf(filled.url, statements)];

    for (const part of [
      "DELETE FROM run_queue",
      "INSERT INTO runs",
      "UPDATE event_triggers",
      "UPDATE webhook_deliveries",
      "workflow_advances",
      "pg_snapshot_xip",
    ]) {
      expect(statements.some((text) => text.includes(part))).toBe(true);
    }
    expect(statements.length).toBeGreaterThan(60);
    expect(found).toEqual([{}, {}]);
  });

  test("B1 and what is buffered for a key is looked for by the key, from the first day on", async () => {
    const { url } = await freshDatabase();
    const looks = (await hotStatements()).filter((text) => /disposition = 'buffered' AND \S*expires_at > /.test(text));

    const plans = await plansOf(url, looks);

    expect(looks.length).toBeGreaterThan(1);
    for (const plan of plans.values()) expect(indexesOf(plan)).toContain("events_buffered");
  });

  test("W1 L2 what was sent to a key is looked for by the key among events and among waits, with statistics or without", async () => {
    const strait = await startServer({ runsEngine: false });
    const [known, unknown] = [await freshDatabase(), await freshDatabase()];
    await fill(known.url);
    await fill(unknown.url, "SELECT");
    const recorded = recordStatements();
    const key = { project_id: strait.projectId, environment_id: "e", event_key: "k" };
    await findRecorded(strait.db, [{ ...key, event_id: "evt_1" }]);
    for (const path of ["sends", "sends?disposition=late", "explain?event_id=evt_01k0000000e00800000000none"]) {
      await strait.request("GET", `/v1/events/k/${path}`);
    }
    const looks = [...new Set(recorded.map(({ text }) => text))].filter((text) => /\bsends\b/.test(text));

    const plans = [await plansOf(known.url, looks), await plansOf(unknown.url, looks)].flatMap((of) => [
      ...of.values(),
    ]);

    expect(plans).toHaveLength(8);
    for (const plan of plans) {
      expect(wholeScans(plan)).toEqual([]);
      expect(indexesOf(plan).toSorted()).toEqual(["event_triggers_by_key", "events_pkey"]);
      for (const { condition } of lookupsOf(plan)) expect(condition).toContain("event_key = ");
    }
  });

  test("a send finds its wait by the key among many that have just opened: their table is known before autovacuum comes", async () => {
    const strait = await startServer({ runsEngine: false });
    const recorded = recordStatements();
    await strait.request("POST", "/v1/events/nobody/send", { body: {} });
    const looks = recorded.map(({ text }) => text).filter((text) => /event_key = i\.event_key/.test(text));
    await fillWaits(strait.databaseUrl, 5_000);

    await strait.tick("learn-estimates");

    const known = await strait.db.query(sql`SELECT reltuples FROM pg_class WHERE oid = 'event_triggers'::regclass`);
    expect(known).toEqual([{ reltuples: 5_000 }]);
    expect(await scansOfTriggers(strait.databaseUrl, looks)).toEqual([]);
  });

  test("a test that looks for such a scan finds one", async () => {
    const { url } = await freshDatabase();

    const found = await wholeScansOf(url, ["SELECT id FROM runs WHERE status = 'queued'", "SELECT 1 FROM projects"]);

    expect(Object.values(found).flat()).toEqual([
      expect.stringMatching(/Scan of runs/),
      expect.stringMatching(/projects/),
    ]);
  });
});
