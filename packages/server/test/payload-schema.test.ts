import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const DECISION = {
  type: "object",
  required: ["approved"],
  properties: { approved: { type: "boolean" }, reviewer: { $ref: "#/$defs/name" } },
  additionalProperties: false,
  $defs: { name: { type: "string", minLength: 2 } },
};

const eventsOf = (strait: TestServer) =>
  strait.db.query<object>(sql`
    SELECT disposition, payload, trigger_id, dead_letter_reason, issues FROM events ORDER BY id`);

const mismatch = (...issues: object[]) => ({
  status: 422,
  body: {
    error: { code: "payload_mismatch", details: { issues: issues.map((issue) => expect.objectContaining(issue)) } },
  },
});

const nested = (levels: number): object => (levels === 0 ? {} : { properties: { a: nested(levels - 1) } });

const UNUSABLE: readonly (readonly [string, object, string, string])[] = [
  ["does not compile", { type: "text" }, "", "jsonSchema"],
  ["has a pattern that cannot be read", { pattern: "(" }, "", "jsonSchema"],
  ["names another dialect", { $schema: "http://json-schema.org/draft-07/schema#" }, "", "jsonSchema"],
  ["refers to nothing", { $ref: "#/$defs/nobody" }, "", "jsonSchema"],
  ["refers to another document", { $ref: "https://example.com/s.json" }, "/$ref", "localReference"],
  [
    "refers to another document far inside",
    { properties: { $ref: { anyOf: [{ type: "null" }, { $dynamicRef: "other.json#x" }] } } },
    "/properties/$ref/anyOf/1/$dynamicRef",
    "localReference",
  ],
  ["is too large", { enum: ["x".repeat(65_536)] }, "", "maxLength"],
  ["is too deep", nested(33), "", "maxDepth"],
];

describe("a payload_schema", () => {
  test.each(UNUSABLE)(
    "that %s is refused when a run waits, and the run executes on",
    async (_, payload_schema, at, rule) => {
      const strait = await startServer();
      const run = await (await startStage(strait)).run();

      const refused = await run.wait("k", { payload_schema });

      const issue = { field: `/payload_schema${at}`, rule, fix: expect.any(String) };
      expect(refused).toMatchObject({ status: 400, body: { error: { details: { issues: [issue] } } } });
      expect((await run.read()).status).toBe("executing");
      expect(await strait.db.query(sql`SELECT 1 FROM event_triggers`)).toEqual([]);
    },
  );

  test.each(UNUSABLE)("that %s is refused when a workflow is saved or tried", async (_, payload_schema, at, rule) => {
    const strait = await startServer();
    const steps = [
      { step_ref: "first", type: "sleep", sleep_duration: "1s" },
      { step_ref: "review", type: "wait_for_event", event_key: "k", payload_schema },
    ];

    const refused = await strait.request("POST", "/v1/workflows", { body: { name: "W", slug: "w", steps } });

    const issue = { field: `/steps/1/payload_schema${at}`, rule, fix: expect.any(String) };
    expect(refused).toMatchObject({ status: 400, body: { error: { details: { issues: [issue] } } } });
    expect(await strait.db.query(sql`SELECT 1 FROM workflows`)).toEqual([]);
  });

  test("belongs to waits: a step of another type refuses it", async () => {
    const strait = await startServer();
    const steps = [{ step_ref: "s", type: "sleep", sleep_duration: "1s", payload_schema: {} }];

    const refused = await strait.request("POST", "/v1/workflows", { body: { name: "W", slug: "w", steps } });

    const issue = { field: "/steps/0/payload_schema", rule: "fieldOfType" };
    expect(refused).toMatchObject({ status: 400, body: { error: { details: { issues: [issue] } } } });
  });

  test("may use the name of one that somebody else has saved, and words that only look like references", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const $id = "https://example.com/answer";
    const inner = { $defs: { part: { $id: "https://example.com/part", type: "string" } }, $ref: "#/$defs/part" };
    const other = { $defs: { part: { $id: "https://example.com/part", type: "number" } }, $ref: "#/$defs/part" };
    await stage.parked("text", { payload_schema: { $id, ...inner, default: { $ref: "https://example.com" } } });
    await stage.parked("number", { payload_schema: { $id, ...other } });

    const answers = [await send(strait, "text", 1), await send(strait, "number", 1)];

    expect(answers.map(({ status }) => status)).toEqual([422, 200]);
  });
});

describe("a send to a wait with a payload_schema", () => {
  test("section 4 S4: one that does not fit is 422 with JSON pointers, is recorded without its payload, and changes nothing", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", { payload_schema: DECISION });
    const before = await eventOf(strait, "review:1");

    const refused = await send(strait, "review:1", { reviewer: "x", "a/b": 1 });

    expect(refused).toMatchObject(
      mismatch(
        { field: "/payload/approved", rule: "required" },
        { field: "/payload", rule: "additionalProperties" },
        { field: "/payload/reviewer", rule: "minLength" },
      ),
    );
    expect((await eventOf(strait, "review:1")).body).toEqual(before.body);
    expect(before.body).toMatchObject({ status: "waiting", payload_schema: DECISION });
    expect((await run.read()).status).toBe("waiting");
    expect(await eventsOf(strait)).toMatchObject([
      {
        disposition: "rejected",
        payload: "null",
        trigger_id: run.trigger.id,
        dead_letter_reason: null,
        issues: [{}, {}, {}],
      },
    ]);
  });

  test("section 4: one that fits is delivered, after others that did not", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("review:1", { payload_schema: DECISION });

    const answers = await Promise.all([
      send(strait, "review:1", { approved: "yes" }),
      send(strait, "review:1", { approved: true }),
      send(strait, "review:1", { approved: 1 }),
    ]);

    expect(answers.map(({ status, body }) => [status, body.disposition ?? body.error.code])).toEqual([
      [422, "payload_mismatch"],
      [200, "delivered"],
      [409, "already_resolved"],
    ]);
    await run.dispatch(2);
    expect((await run.read()).checkpoint).toEqual({ approved: true });
  });

  test("S2: a refusal does not use up its Idempotency-Key", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("review:1", { payload_schema: DECISION });
    const key = { "idempotency-key": "once" };
    expect((await send(strait, "review:1", {}, {}, key)).status).toBe(422);

    const answers = [
      await send(strait, "review:1", { approved: true }, {}, key),
      await send(strait, "review:1", { approved: true }, {}, key),
    ];

    expect(answers.map(({ status, headers }) => [status, headers.get("idempotency-replayed")])).toEqual([
      [200, null],
      [200, "true"],
    ]);
  });

  test.each(["each", "atomic"])("P3: by prefix (%s) each wait is held to its own schema", async (mode) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("batch:1", { payload_schema: { type: "string" } });
    await stage.parked("batch:2", { payload_schema: { type: "number" } });

    const sent = await strait.request("POST", "/v1/events/prefix/batch%3A/send", { body: { payload: 7, mode } });

    if (mode === "atomic") expect(sent).toMatchObject(mismatch({ field: "/payload", rule: "type" }));
    else {
      expect(sent).toMatchObject({ status: 200, body: { resolved: 1, triggers: [{ event_key: "batch:2" }] } });
      expect(sent.body.skipped).toMatchObject([{ event_key: "batch:1", code: "payload_mismatch" }]);
    }
    expect((await eventOf(strait, "batch:1")).body.status).toBe("waiting");
  });

  test("is checked for half a second at most: a pattern that never ends refuses the event, and nobody else waits", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("slow", { payload_schema: { type: "string", pattern: "^(a+)+$" } });
    await stage.parked("endless", { payload_schema: { $ref: "#" } });

    const answers = [await send(strait, "slow", `${"a".repeat(64)}!`), await send(strait, "endless", 1)];

    expect(answers).toMatchObject([
      mismatch({ field: "/payload", rule: "timeLimit" }),
      mismatch({ field: "/payload", rule: "$ref" }),
    ]);
    expect((await eventOf(strait, "slow")).body.status).toBe("waiting");
  });

  test("that took too long gets less time for what comes next: one request cannot hold up the process for minutes", async () => {
    const strait = await startServer();
    const endpoint_url = "http://127.0.0.1:9/";
    const body = { name: "Slow", slug: "slow", endpoint_url, payload_schema: { type: "string", pattern: "^(b+)+$" } };
    expect((await strait.request("POST", "/v1/jobs", { body })).status).toBe(201);
    const items = Array.from({ length: 500 }, () => ({ payload: `${"b".repeat(64)}!` }));
    const begin = performance.now();

    const answer = await strait.request("POST", "/v1/jobs/slow/trigger/bulk", { body: { items } });

    expect(answer).toMatchObject({ status: 422, body: { error: { code: "payload_mismatch" } } });
    expect(performance.now() - begin).toBeLessThan(15_000); // 250 s before
  });
});

describe("the payload_schema of a step", () => {
  const gate = (payload_schema: object) => [
    { step_ref: "review", type: "wait_for_event", event_key: "review:{{payload.id}}", payload_schema },
    { step_ref: "publish", job_id: "publish", depends_on: ["review"] },
  ];

  test("is pinned to the wait when it opens: a new version of the workflow does not change it", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, gate(DECISION));
    const run = await stage.trigger({ id: 1 });
    await run.step("review", "waiting");
    const steps = gate({ type: "string" });
    expect((await strait.request("PATCH", "/v1/workflows/staged", { body: { steps } })).status).toBe(200);

    const answers = [await send(strait, "review:1", "yes"), await send(strait, "review:1", { approved: true })];

    expect(answers.map(({ status }) => status)).toEqual([422, 200]);
    await run.is("completed");
    expect((await run.steps()).review?.output).toEqual({ approved: true });
  });

  test("B5: an emitted event that does not fit becomes a dead letter, and the step that emitted it stays completed", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const waiting = await stage.parked("done:1", { payload_schema: DECISION });
    const emitter = await startWorkflowStage(strait, [{ step_ref: "emit", job_id: "emit", event_emit_key: "done:1" }]);

    const run = await emitter.trigger();

    await run.is("completed");
    const step = await eventually(async () => {
      const { emit } = await run.steps();
      return emit && "emit_error" in emit && emit.emit_error !== null && emit;
    });
    expect(step).toMatchObject({ status: "completed", emit_error: expect.stringContaining("/payload/approved") });
    expect(await eventsOf(strait)).toMatchObject([
      {
        disposition: "rejected",
        payload: '{"done":"emit"}',
        trigger_id: waiting.trigger.id,
        dead_letter_reason: "payload_mismatch",
        issues: [{ field: "/payload/approved" }, { field: "/payload" }],
      },
    ]);
    expect((await waiting.read()).status).toBe("waiting");
  });
});

describe("section 11 number 19: an event that was buffered before the wait", () => {
  test("B8 becomes a dead letter when it breaks the schema; the wait stays open", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "review:1", "yes");

    const run = await stage.parked("review:1", { payload_schema: DECISION });

    expect(await eventsOf(strait)).toEqual([
      {
        disposition: "rejected",
        payload: '"yes"',
        trigger_id: run.trigger.id,
        dead_letter_reason: "payload_mismatch",
        issues: [{ field: "/payload", rule: "type", fix: expect.any(String) }],
      },
    ]);
    expect((await send(strait, "review:1", { approved: false })).body.disposition).toBe("delivered");
  });

  test("B8 is passed over for the next that fits, however many do not; those behind it stay buffered", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (let n = 0; n < 22; n++) await send(strait, "review:1", n);
    await send(strait, "review:1", { approved: true });
    await send(strait, "review:1", { approved: false });
    const run = await stage.run();

    const opened = await run.wait("review:1", { payload_schema: DECISION });

    expect(opened.body).toMatchObject({ status: "received", response_payload: { approved: true } });
    expect((await eventsOf(strait)).map((event) => (event as { disposition: string }).disposition)).toEqual([
      ...Array.from({ length: 22 }, () => "rejected"),
      "delivered",
      "buffered",
    ]);
  });

  test("B8 does not fail the step of a workflow, which takes the next event that is sent", async () => {
    const strait = await startServer();
    await send(strait, "review:1", "yes");
    const steps = [{ step_ref: "review", type: "wait_for_event", event_key: "review:1", payload_schema: DECISION }];
    const stage = await startWorkflowStage(strait, steps);

    const run = await stage.trigger();

    expect(await run.statuses()).toEqual({ review: "waiting" });
    await send(strait, "review:1", { approved: true });
    await run.is("completed");
  });
});
