import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const PAID = 'payload.kind == "paid"';
const paid = { kind: "paid", amount: 150 };
const shipped = { kind: "shipped" };

const dispositions = async (strait: TestServer) =>
  (await strait.db.query<{ disposition: string }>(sql`SELECT disposition FROM sends ORDER BY id`)).map(
    ({ disposition }) => disposition,
  );

const UNUSABLE: readonly (readonly [string, string])[] = [
  ["that cannot be parsed", "payload.amount >"],
  ["that names what there is not", "run.id == 1"],
  ["that gives no truth", "size(payload) + 1"],
  ["with more parts than are looked at", `payload in [${Array.from({ length: 101 }, (_, n) => n).join()}]`],
];

describe("a filter", () => {
  test.each(UNUSABLE)("%s is refused when a run waits, which executes on", async (_, filter) => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();

    const refused = await run.wait("k", { filter });

    const issue = { field: "/filter", rule: "cel", fix: expect.stringContaining("write a CEL expression") };
    expect(refused).toMatchObject({ status: 400, body: { error: { details: { issues: [issue] } } } });
    expect((await run.read()).status).toBe("executing");
  });

  test.each(UNUSABLE)("%s is refused when a workflow is saved", async (_, filter) => {
    const strait = await startServer();
    const steps = [{ step_ref: "s", type: "wait_for_event", event_key: "k", filter }];

    const refused = await strait.request("POST", "/v1/workflows", { body: { name: "W", slug: "w", steps } });

    const issue = { field: "/steps/0/filter", rule: "cel" };
    expect(refused).toMatchObject({ status: 400, body: { error: { details: { issues: [issue] } } } });
  });

  test.each([
    ["payload.amount >= 100 && payload.amount < 200.5", true],
    ["payload.items.exists(item, item.sku == 'a-1')", true],
    ["event.key.startsWith('order:') && event.sent_by.startsWith('apikey:')", true],
    ["has(payload.amount) && !has(payload.missing)", true],
    ["payload.missing == 1", false],
    ["payload.kind", false],
    ["has(payload.constructor) || has(payload.__proto__)", false],
    ["payload.long.matches('^(a+)+$')", false],
  ])("%s is %s of the event", async (filter, isTrue) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("order:1", { filter });

    const sent = await send(strait, "order:1", { ...paid, items: [{ sku: "a-1" }], long: `${"a".repeat(64)}!` });

    expect(sent.body.disposition).toBe(isTrue ? "delivered" : "buffered");
    expect((await eventOf(strait, "order:1")).body).toMatchObject({ filter, status: isTrue ? "received" : "waiting" });
  });
});

describe("an event that the filter of a wait is not true of", () => {
  test("B1 is answered as if nobody had ever waited: kept, or 404; and the wait takes the next that it is true of", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("order:1", { filter: PAID });

    const answers = [
      await send(strait, "order:1", shipped),
      await send(strait, "order:1", shipped, { if_no_waiter: "fail" }),
      await send(strait, "order:1", paid),
    ];

    expect(answers.map(({ status, body }) => [status, body.disposition ?? body.error.code])).toEqual([
      [202, "buffered"],
      [404, "not_found"],
      [200, "delivered"],
    ]);
    expect(answers[1]?.body.error).toEqual({
      code: "not_found",
      message:
        `no wait on event key "order:1" takes this event: the filter of "${run.trigger.id}" is not true of it, ` +
        `${PAID}; correct the payload, or leave out if_no_waiter to keep the event`,
      details: { resource: "event trigger", id: "order:1", trigger_id: run.trigger.id },
    });
    await run.dispatch(2);
    expect((await run.read()).checkpoint).toEqual(paid);
  });

  test("B2 B6 is taken by the wait that it is meant for, whichever wait opens first", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "order:1", shipped);
    await send(strait, "order:1", paid);
    const run = await stage.run();

    const waits = [
      await run.wait("order:1", { filter: PAID }),
      await run.wait("order:1", { filter: PAID.replace("paid", "refunded"), timeout_secs: 60, on_timeout: "resume" }),
    ];

    expect(waits.map(({ body }) => [body.status, body.response_payload])).toEqual([
      ["received", paid],
      ["waiting", null],
    ]);
    expect(await dispositions(strait)).toEqual(["buffered", "delivered"]);
    await strait.advance(60_000);
    await run.dispatch(2);
    const after = await stage.run();
    expect((await after.wait("order:1")).body).toMatchObject({ status: "received", response_payload: shipped });
  });

  test("B3 is kept after the wait has ended too, for it was never meant for that one", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("order:1", { filter: PAID });
    await send(strait, "order:1", paid);

    const answers = [await send(strait, "order:1", shipped), await send(strait, "order:1", { ...paid, amount: 1 })];

    expect(answers.map(({ status }) => status)).toEqual([202, 409]);
  });

  test("U4 is 422 when it names that wait, and changes nothing", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const { trigger } = await stage.parked("order:1", { filter: PAID });

    const answers = [
      await send(strait, "order:1", shipped, { generation: 1 }),
      await send(strait, "order:1", shipped, { trigger_id: trigger.id }),
    ];

    const issue = { field: "/payload", rule: "filter", fix: expect.stringContaining(PAID) };
    const refusal = { status: 422, body: { error: { code: "payload_mismatch", details: { issues: [issue] } } } };
    expect(answers).toMatchObject([refusal, refusal]);
    expect((await eventOf(strait, "order:1")).body.status).toBe("waiting");
  });

  test("P2 P3 is skipped by a send to a prefix, which buffers nothing", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("order:1", { filter: PAID });
    await stage.parked("order:2");

    const sent = await strait.request("POST", "/v1/events/prefix/order%3A/send", { body: { payload: shipped } });

    expect(sent.body).toMatchObject({ resolved: 1, skipped: [{ event_key: "order:1", code: "payload_mismatch" }] });
    expect(await dispositions(strait)).toEqual(expect.not.arrayContaining(["buffered"]));
  });

  test("is not checked against the schema, which is for those that are meant for the wait", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "order:1", shipped);

    await stage.parked("order:1", { filter: PAID, payload_schema: { type: "object", required: ["amount"] } });

    expect(await dispositions(strait)).toEqual(["buffered"]);
    expect((await send(strait, "order:1", { kind: "paid" })).status).toBe(422);
    expect((await send(strait, "order:1", shipped)).status).toBe(202);
  });

  test("waits for the later of two steps of a workflow, in whichever order the events come", async () => {
    const strait = await startServer();
    const wait = { type: "wait_for_event", event_key: "order:{{payload.id}}" };
    const stage = await startWorkflowStage(strait, [
      { step_ref: "paid", ...wait, filter: PAID },
      { step_ref: "shipped", ...wait, filter: 'payload.kind == "shipped"', depends_on: ["paid"] },
    ]);
    const run = await stage.trigger({ id: 7 });
    await run.step("paid", "waiting");

    await send(strait, "order:7", shipped);
    await send(strait, "order:7", paid);

    await run.is("completed");
    expect(await run.steps()).toMatchObject({ paid: { output: paid }, shipped: { output: shipped } });
  });
});
