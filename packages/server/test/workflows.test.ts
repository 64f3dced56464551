import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { startServer, type TestServer } from "./server.ts";
import { send } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const refusal = (status: number, code: string) => ({ status, body: { error: { code } } });

const sleeping = (step_ref: string, depends_on: string[] = []) => ({
  step_ref,
  type: "sleep",
  sleep_duration: "1h",
  depends_on,
});

async function startWithJob(): Promise<TestServer> {
  const strait = await startServer();
  const job = { name: "Charge", slug: "charge", endpoint_url: "http://127.0.0.1:9/charge" };
  await strait.request("POST", "/v1/jobs", { body: job });
  return strait;
}

const create = (strait: TestServer, steps: unknown, more: object = {}) =>
  strait.request("POST", "/v1/workflows", { body: { name: "Orders", slug: "orders", steps, ...more } });

describe("a workflow", () => {
  test("is stored in one spelling, with every default, and its jobs resolved to their ids", async () => {
    const strait = await startWithJob();
    const { id: jobId } = (await strait.request("GET", "/v1/jobs/charge")).body;

    const created = await create(strait, [
      { step_ref: "charge", job_id: "charge", payload: { amount: "{{payload.amount}}" } },
      {
        step_ref: "paid",
        step_type: "wait_for_event",
        event_key: "paid:{{payload.id}}",
        event_timeout_secs: null,
        event_notify_url: "https://myapp.example/paid",
        depends_on: ["charge"],
        on_failure: "continue",
      },
      { step_ref: "cool-down", step_type: "sleep", sleep_duration_secs: 90, depends_on: ["paid"] },
    ]);

    const blank = {
      payload: null,
      event_key: null,
      timeout_secs: null,
      notify_url: null,
      sleep_duration: null,
      event_emit_key: null,
      broadcast: null,
      filter: null,
      on_conflict: null,
      on_timeout: null,
      payload_schema: null,
      timeout_payload: null,
      timeout_step: null,
      grace_secs: null,
      on_cancel: null,
      accept_buffered: null,
      pick: null,
    };
    expect(created).toMatchObject({ status: 201, body: { version: 1, enabled: true, tags: {}, description: null } });
    expect(created.body.steps).toEqual([
      {
        ...blank,
        step_ref: "charge",
        type: "job",
        job_id: jobId,
        payload: { amount: "{{payload.amount}}" },
        depends_on: [],
        on_failure: "fail_workflow",
      },
      {
        ...blank,
        step_ref: "paid",
        type: "wait_for_event",
        job_id: null,
        event_key: "paid:{{payload.id}}",
        notify_url: "https://myapp.example/paid",
        on_conflict: "fail",
        broadcast: false,
        grace_secs: 0,
        accept_buffered: "any",
        pick: "oldest",
        depends_on: ["charge"],
        on_failure: "continue",
      },
      {
        ...blank,
        step_ref: "cool-down",
        type: "sleep",
        job_id: null,
        sleep_duration: "1m30s",
        depends_on: ["paid"],
        on_failure: "fail_workflow",
      },
    ]);
    expect((await strait.request("GET", "/v1/workflows/orders")).body).toEqual(created.body);
    expect((await strait.request("GET", `/v1/workflows/${created.body.id}`)).body).toEqual(created.body);
  });

  test.each([
    ["a cycle", [sleeping("a", ["b"]), sleeping("b", ["a"])], "/steps"],
    ["a dependency that is no step", [sleeping("a", ["b"])], "/steps/0/depends_on/0"],
    ["two steps of one name", [sleeping("a"), sleeping("a")], "/steps/1/step_ref"],
    ["an unknown job", [{ step_ref: "a", job_id: "nobody" }], "/steps/0/job_id"],
    ["a wait without a key", [{ step_ref: "a", type: "wait_for_event" }], "/steps/0/event_key"],
    [
      "an output of a step that it does not depend on",
      [sleeping("a"), { step_ref: "b", job_id: "charge", payload: { x: "{{parent_outputs.a.slept_for_secs}}" } }],
      "/steps/1/payload/x",
    ],
    [
      "a broken placeholder",
      [{ step_ref: "a", type: "wait_for_event", event_key: "k:{{payload." }],
      "/steps/0/event_key",
    ],
    ["a duration that is none", [{ step_ref: "a", type: "sleep", sleep_duration: "soon" }], "/steps/0/sleep_duration"],
  ])("is refused with %s, and the field is named", async (_, steps, field) => {
    const strait = await startWithJob();

    const refused = await create(strait, steps);

    expect(refused).toMatchObject(refusal(400, "validation_error"));
    const fields = refused.body.error.details.issues.map((issue: { field: string }) => issue.field);
    expect(
      fields.some((given: string) => given.startsWith(field)),
      String(fields),
    ).toBe(true);
    expect((await strait.request("GET", "/v1/workflows")).body.data).toEqual([]);
  });

  test("has a slug of its own", async () => {
    const strait = await startWithJob();
    await create(strait, []);
    await create(strait, [], { slug: "other" });

    expect(await create(strait, [])).toMatchObject(refusal(409, "conflict"));
    const renamed = await strait.request("PATCH", "/v1/workflows/other", { body: { slug: "orders" } });
    expect(renamed).toMatchObject(refusal(409, "conflict"));
    expect((await strait.request("GET", "/v1/workflows/other")).body.version).toBe(1);
  });

  test("counts its versions by one however many change it at once", async () => {
    const strait = await startWithJob();
    await create(strait, [sleeping("a")]);

    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) => strait.request("PATCH", "/v1/workflows/orders", { body: { description: `${n}` } })),
    );

    expect(answers.map(({ body }) => body.version).sort()).toEqual([2, 3, 4, 5]);
    const { body } = await strait.request("GET", "/v1/workflows/orders");
    expect(body).toMatchObject({ version: 5, steps: [{ step_ref: "a" }] });
  });

  test("is not run while it is disabled, has no steps, or is another project's", async () => {
    const strait = await startWithJob();
    const { apiKey } = await strait.anotherProject();
    const trigger = (token = strait.apiKey) =>
      strait.request("POST", "/v1/workflows/orders/trigger", { body: {}, token });
    await create(strait, []);

    expect(await trigger()).toMatchObject(refusal(409, "conflict"));
    await strait.request("PATCH", "/v1/workflows/orders", { body: { steps: [sleeping("a")], enabled: false } });
    expect(await trigger()).toMatchObject(refusal(409, "conflict"));
    expect(await trigger(apiKey)).toMatchObject(refusal(404, "not_found"));
    expect(await strait.db.query(sql`SELECT FROM workflow_runs`)).toEqual([]);
  });
});

describe("a dry run", () => {
  test("tells the order of the workflow's steps, or of those given, and starts nothing", async () => {
    const strait = await startWithJob();
    await create(strait, [sleeping("b", ["a"]), sleeping("a"), sleeping("c", ["b"]), sleeping("d")]);
    const dryRun = (body: unknown) => strait.request("POST", "/v1/workflows/orders/dry-run", { body });

    const stored = await dryRun({});
    const given = await dryRun({ steps: [sleeping("x"), { step_ref: "y", job_id: "charge", depends_on: ["x"] }] });

    expect(stored).toMatchObject({ status: 200, body: { valid: true, step_count: 4, roots: ["a", "d"] } });
    const place = (ref: string) => stored.body.order.indexOf(ref);
    expect([...stored.body.order].sort()).toEqual(["a", "b", "c", "d"]);
    expect(place("a") < place("b") && place("b") < place("c")).toBe(true);
    expect(given.body).toEqual({ valid: true, step_count: 2, roots: ["x"], order: ["x", "y"] });
    expect(await strait.db.query(sql`SELECT FROM workflow_runs`)).toEqual([]);
    expect((await strait.request("GET", "/v1/workflows/orders")).body.version).toBe(1);
  });

  test("refuses what saving would refuse", async () => {
    const strait = await startWithJob();
    await create(strait, []);

    const refused = await strait.request("POST", "/v1/workflows/orders/dry-run", {
      body: { steps: [sleeping("a", ["b"]), sleeping("b", ["a"])] },
    });

    expect(refused).toMatchObject(refusal(400, "validation_error"));
  });
});

describe("deleting a workflow", () => {
  test("is 409 while one of its runs has not ended, and keeps the runs that have", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [{ step_ref: "gate", type: "wait_for_event", event_key: "gate" }]);
    const run = await stage.trigger();

    const refused = await strait.request("DELETE", "/v1/workflows/staged");
    await send(strait, "gate", 1);
    await run.is("completed");
    const deleted = await strait.request("DELETE", "/v1/workflows/staged");

    expect(refused).toMatchObject(refusal(409, "conflict"));
    expect(deleted.status).toBe(204);
    expect((await strait.request("GET", "/v1/workflows/staged")).status).toBe(404);
    expect((await run.read()).status).toBe("completed");
    expect(
      (await strait.request("POST", "/v1/workflows", { body: { name: "S", slug: "staged", steps: [] } })).status,
    ).toBe(201);
  });
});
