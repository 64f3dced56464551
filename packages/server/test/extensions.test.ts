import { describe, expect, test } from "vitest";
import { settleWaits, timedOut } from "../src/service/settle-waits.ts";
import { sql } from "../src/store/sql.ts";
import * as triggers from "../src/store/triggers.ts";
import { advanceClock } from "./clock.ts";
import { startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const refusal = (status: number, code: string) => ({ status, body: { error: { code } } });

const extend = (strait: TestServer, key: string, body: object) =>
  strait.request("POST", `/v1/events/${encodeURIComponent(key)}/extend`, { body });

const inSecs = (trigger: { expires_at: string }, from: { requested_at: string }) =>
  Math.round((Date.parse(trigger.expires_at) - Date.parse(from.requested_at)) / 1_000);

describe("a new deadline", () => {
  test("R4 may be later: the wait outlives the old one, and its version tells", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { timeout_secs: 60 });

    const extended = await extend(strait, "k", { timeout_secs: 600 });

    expect(extended).toMatchObject({ status: 200, body: { id: run.trigger.id, status: "waiting", version: 2 } });
    expect(extended.body.timeout_secs).toBe(60);
    expect(inSecs(extended.body, run.trigger)).toBeGreaterThanOrEqual(600);
    await strait.advance(500_000);
    expect((await run.read()).status).toBe("waiting");
    expect(await send(strait, "k", 1)).toMatchObject({ status: 200, body: { disposition: "delivered" } });
  });

  test("R4 may be earlier, as a time", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { timeout_secs: 86_400 });
    const deadline = new Date(Date.now() + 60_000).toISOString();

    const shortened = await extend(strait, "k", { deadline });

    expect(Date.parse(shortened.body.expires_at)).toBe(Date.parse(deadline));
    await strait.advance(60_000);
    await run.is("timed_out");
  });

  test("R2 R4 that has passed ends the wait at once, as its policy says", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { timeout_secs: null, on_timeout: "resolve", timeout_payload: "default" });

    const shortened = await extend(strait, "k", { deadline: "2020-01-01T00:00:00Z" });
    const sent = await send(strait, "k", "late");

    expect(shortened.body).toMatchObject({ version: 2, expires_at: "2020-01-01T00:00:00.000000Z" });
    expect(sent).toMatchObject(refusal(409, "wait_closed"));
    expect((await run.dispatch(2)).headers["x-resume-reason"]).toBe("timeout");
    expect((await run.read()).checkpoint).toBe("default");
  });

  test("R4 may be none, and given back to a wait that had none", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { timeout_secs: 60 });

    const infinite = await extend(strait, "k", { timeout_secs: null });
    await strait.advance(365 * 24 * 3_600_000);

    expect(infinite.body).toMatchObject({ expires_at: null, version: 2 });
    expect((await run.read()).status).toBe("waiting");
    expect((await extend(strait, "k", { timeout_secs: 60 })).body.version).toBe(3);
    await strait.advance(60_000);
    await run.is("timed_out");
  });

  test("R4 is for the step of a workflow too", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { step_ref: "gate", type: "wait_for_event", event_key: "gate", timeout_secs: 60 },
    ]);
    const run = await stage.trigger();
    await run.step("gate", "waiting");

    await extend(strait, "gate", { timeout_secs: 600 });
    await strait.advance(300_000);

    expect((await eventOf(strait, "gate")).body.status).toBe("waiting");
    await strait.advance(300_000);
    expect((await run.step("gate", "failed")).gate).toMatchObject({ error: "event trigger timed out" });
  });

  test("R4 is audited by a change with both deadlines, and streamed", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k", { timeout_secs: 60 });

    const { body } = await extend(strait, "k", { timeout_secs: 600 });

    const rows = await strait.db.query(sql`
      SELECT sequence, kind, before, after, actor, data FROM changes WHERE subject_id = ${run.trigger.id} ORDER BY sequence`);
    expect(rows.slice(1)).toEqual([
      {
        sequence: 2,
        kind: "deadline",
        before: "waiting",
        after: "waiting",
        actor: expect.stringMatching(/^apikey:key_/),
        data: { from: run.trigger.expires_at, to: body.expires_at, version: 2 },
      },
    ]);
    await send(strait, "k", 1);
    const headers = { "last-event-id": await firstId(strait) };
    const stream = await strait.fetch("GET", "/v1/events/k/stream", { headers });
    const frames = (await stream.text()).split("\n\n").filter((frame) => frame.includes("event: status"));
    expect(frames.map((frame) => /"status":"(\w+)"/.exec(frame)?.[1])).toEqual(["waiting", "received"]);
    expect(frames[0]).toContain('"version":2');
  });

  test("R4 is conditional on the version: of two who saw the same one, one changes it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("k", { timeout_secs: 60 });

    const answers = await Promise.all(
      [600, 700].map((timeout_secs) => extend(strait, "k", { timeout_secs, version: 1 })),
    );

    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const refused = answers.find(({ status }) => status === 409);
    expect(refused).toMatchObject(refusal(409, "expectation_failed"));
    expect(refused?.body.error.details).toMatchObject({ version: 2 });
  });

  test("R3 is not ended by the timer of the old one", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startWorkflowStage(strait, [
      { step_ref: "gate", type: "wait_for_event", event_key: "gate", timeout_secs: 60 },
    ]);
    const run = await stage.trigger();
    await strait.tick("wake-owners");
    await run.step("gate", "waiting");
    const { body: trigger } = await eventOf(strait, "gate");
    const { context } = strait.server;
    await extend(strait, "gate", { timeout_secs: 600 });
    await advanceClock(strait.db, 60_000);

    // What a sweeper does that had looked before the extension.
    const ended = await settleWaits(context, context.db, "timeOut", true, [timedOut(strait.projectId, trigger.id)]);

    expect(ended).toEqual([]);
    expect(await triggers.due(context.db, 10)).toEqual([]);
    expect((await eventOf(strait, "gate")).body).toMatchObject({ status: "waiting", version: 2 });
  });

  test("R2 comes too late after the old one, sweeper or not: the wait times out, and the answer is 409", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startWorkflowStage(strait, [
      { step_ref: "gate", type: "wait_for_event", event_key: "gate", timeout_secs: 60 },
    ]);
    const run = await stage.trigger();
    await strait.tick("wake-owners");
    await run.step("gate", "waiting");
    await advanceClock(strait.db, 60_000);

    const late = await extend(strait, "gate", { timeout_secs: 600 });

    expect(late).toMatchObject(refusal(409, "wait_closed"));
    expect(late.body.error.details.status).toBe("timed_out");
    expect((await eventOf(strait, "gate")).body).toMatchObject({ status: "timed_out", version: 1 });
  });

  test("is refused for a wait that has ended, never was, or is another one", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k");
    await send(strait, "k", 1);

    expect(await extend(strait, "k", { timeout_secs: 5 })).toMatchObject(refusal(409, "wait_closed"));
    expect(await extend(strait, "nobody", { timeout_secs: 5 })).toMatchObject(refusal(404, "not_found"));
    await stage.parked("k");
    for (const meant of [{ generation: 1 }, { trigger_id: first.trigger.id }]) {
      expect(await extend(strait, "k", { timeout_secs: 5, ...meant })).toMatchObject(refusal(409, "stale_generation"));
    }
    expect((await eventOf(strait, "k")).body.version).toBe(1);
  });

  test.each([
    [{}, "/timeout_secs", "required"],
    [{ timeout_secs: 5, deadline: "2036-01-01T00:00:00Z" }, "/deadline", "notWithTimeout"],
    [{ timeout_secs: 0 }, "/timeout_secs", "minimum"],
    [{ timeout_secs: 5, until: "tomorrow" }, "/until", "additionalProperties"],
  ])("is refused as %j, and changes nothing", async (body, field, rule) => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");

    const refused = await extend(strait, "k", body);

    expect(refused).toMatchObject(refusal(400, "validation_error"));
    expect(refused.body.error.details.issues).toMatchObject([{ field, rule }]);
    expect((await eventOf(strait, "k")).body).toEqual((({ trigger_id: _, ...trigger }) => trigger)(run.trigger));
  });

  test("is not for sleeps, which have no key", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [{ step_ref: "nap", type: "sleep", sleep_duration: "60s" }]);
    const run = await stage.trigger();
    await run.step("nap", "waiting");

    const refused = await extend(strait, `sleep:${run.id}:nap`, { timeout_secs: 600 });

    expect(refused).toMatchObject(refusal(404, "not_found"));
    await strait.advance(60_000);
    await run.step("nap", "completed");
  });
});

/** The id that the first frame of the stream of `k` had. */
async function firstId(strait: TestServer): Promise<string> {
  const stream = await strait.fetch("GET", "/v1/events/k/stream");
  const id = /^id: (.*)$/m.exec(await stream.text())?.[1] ?? "";
  const [name, life] = Buffer.from(id, "base64url").toString().split("|");
  return Buffer.from(`${name}|${life}|1`).toString("base64url");
}
