import { describe, expect, test } from "vitest";
import { countOf } from "./given.ts";
import { inboxOf, receive } from "./inbox-stage.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { startStage } from "./stage.ts";

const message = (strait: TestServer, payload: unknown, start: object = {}, options: object = {}) =>
  strait.request("POST", "/v1/runs/chat-42/inbox/chat", {
    body: { payload, start_if_missing: { job_id: "review", payload: { user: "ann" }, ...start } },
    ...options,
  });

describe("S6 a message with start_if_missing", () => {
  test("starts the run under the sender's id, with the message in its inbox; later ones reach the same run", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);

    const first = await message(strait, "hello");
    const second = await message(strait, "and?", { payload: { user: "ben" } });

    const { run_id } = first.body;
    expect([first.status, first.body.disposition]).toEqual([202, "buffered"]);
    expect([second.status, second.body.run_id]).toEqual([202, run_id]);
    expect(await inboxOf(strait, run_id)).toMatchObject([{ payload: "hello" }, { payload: "and?" }]);
    expect(await countOf(strait, "runs")).toBe(1);
    const run = await strait.request("GET", `/v1/runs/${run_id}`);
    expect(run.body).toMatchObject({ job_id: stage.jobId, payload: { user: "ann" }, idempotency_key: "chat-42" });
  });

  test("wakes the run that waits for it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const { run_id: id } = (await message(strait, 1)).body;
    const dispatch = await eventually(async () => stage.executor.dispatches[0]);
    const run = { id, token: dispatch.runToken };
    await receive(strait, run);
    await receive(strait, run);

    const sent = await message(strait, 2);

    expect([sent.status, sent.body.disposition, sent.body.run_id]).toEqual([200, "delivered", id]);
  });

  test("of many at once, with whatever input, starts one run, which gets all of them", async () => {
    const strait = await startServer();
    await startStage(strait);

    const sent = await Promise.all(
      Array.from({ length: 8 }, (_, n) => message(strait, n, { payload: { user: n % 2 } })),
    );

    const runs = new Set(sent.map(({ status, body }) => `${status} ${body.run_id}`));
    expect([...runs]).toEqual([expect.stringMatching(/^202 run_/)]);
    expect(await inboxOf(strait, sent[0]?.body.run_id)).toHaveLength(8);
    expect(await countOf(strait, "runs")).toBe(1);
  });

  test("and an Idempotency-Key is one message and one run, however often it is sent", async () => {
    const strait = await startServer();
    await startStage(strait);
    const headers = { "idempotency-key": "once" };

    const first = await message(strait, 1, {}, { headers });
    const repeated = await message(strait, 1, {}, { headers });
    const other = await message(strait, 2, {}, { headers });

    expect(repeated.body).toEqual(first.body);
    expect(repeated.headers.get("idempotency-replayed")).toBe("true");
    expect(other).toMatchObject({ status: 422, body: { error: { code: "idempotency_mismatch" } } });
    expect([await countOf(strait, "runs"), await countOf(strait, "inbox_messages")]).toEqual([1, 1]);
  });

  test("goes to the run with that id where there is one, and is refused when the run has ended", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    const start_if_missing = { job_id: "review" };
    const path = `/v1/runs/${run.id}/inbox/chat`;

    const sent = await strait.request("POST", path, { body: { payload: 1, start_if_missing } });
    await strait.request("DELETE", `/v1/runs/${run.id}`);
    const late = await strait.request("POST", path, { body: { payload: 2, start_if_missing } });

    expect(sent.body.run_id).toBe(run.id);
    expect(late).toMatchObject({ status: 409, body: { error: { code: "run_closed" } } });
    expect(await countOf(strait, "runs")).toBe(1);
  });

  test("is refused, and starts nothing, where its job cannot be triggered, not with this input, or not by this key", async () => {
    const strait = await startServer();
    await startStage(strait, undefined, { payload_schema: { type: "object", required: ["user"] } });
    const key = await strait.request("POST", "/v1/api-keys", { body: { name: "sender", scopes: ["events:write"] } });

    const unknown = await message(strait, 1, { job_id: "nobody" });
    const misfit = await message(strait, 1, { payload: {} });
    const foreign = await message(strait, 1, {}, { token: key.body.key });
    await strait.request("PATCH", "/v1/jobs/review", { body: { enabled: false } });
    const disabled = await message(strait, 1);

    expect(unknown).toMatchObject({ status: 404, body: { error: { details: { resource: "job" } } } });
    const issues = [{ field: "/start_if_missing/payload/user", rule: "required" }];
    expect(misfit).toMatchObject({ status: 422, body: { error: { details: { issues } } } });
    expect(foreign).toMatchObject({ status: 403, body: { error: { details: { scope: "jobs:trigger" } } } });
    expect(disabled).toMatchObject({ status: 409, body: { error: { code: "conflict" } } });
    expect([await countOf(strait, "runs"), await countOf(strait, "inbox_messages")]).toEqual([0, 0]);
  });
});
