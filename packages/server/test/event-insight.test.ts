import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { insertKey } from "../src/service/api-keys.ts";
import { sql } from "../src/store/sql.ts";
import { contentsOf } from "./contents.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const get = (strait: TestServer, key: string, what: string, query = "", options = {}) =>
  strait.request("GET", `/v1/events/${encodeURIComponent(key)}/${what}${query}`, options);

describe("what was sent to a key", () => {
  test("W1 B4 is listed with who sent it and how it came in, newest first", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("review:1");
    const [apiKey] = (await strait.request("GET", "/v1/api-keys")).body.data;
    await send(strait, "review:1", { b: 1, a: 2, actor: "mallory" }, {}, { "idempotency-key": "click-1" });
    const internal = { "x-internal-secret": strait.internalSecret, "x-project-id": strait.projectId };
    await strait.request("POST", "/v1/events/review:1/send", { token: null, headers: internal, body: { payload: 2 } });

    const { status, body } = await get(strait, "review:1", "sends");
    const late = await get(strait, "review:1", "sends", "?disposition=conflict&limit=1");

    expect(status).toBe(200);
    expect(body.data).toMatchObject([
      {
        disposition: "conflict",
        payload: 2,
        actor: { kind: "operator", id: null, authenticated_by: "internal_secret" },
        channel: "api",
        idempotency_key: null,
      },
      {
        disposition: "delivered",
        payload: { b: 1, a: 2, actor: "mallory" },
        payload_digest: hash("sha256", '{"a":2,"actor":"mallory","b":1}'),
        actor: { kind: "service", id: apiKey.id, authenticated_by: "api_key" },
        channel: "api",
        idempotency_key: "click-1",
        generation: 1,
      },
    ]);
    expect(late.body.data).toEqual([body.data[0]]);
  });

  test("W1 of a step's event the workflow run is the actor", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [{ step_ref: "a", job_id: "work", event_emit_key: "done:a" }]);
    const run = await stage.trigger();
    await run.is("completed");

    const sends = await eventually(async () => {
      const { body } = await get(strait, "done:a", "sends");
      return body.data.length > 0 && body.data;
    });

    expect(sends).toMatchObject([
      {
        disposition: "buffered",
        actor: { kind: "workflow_run", id: run.id, authenticated_by: null },
        channel: "emit",
      },
    ]);
  });

  test("W1 D1 is told in the same way where the event that ended a wait has a row of its own, as it had before 0025", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("review:1");
    await send(strait, "review:1", { b: 1.5, a: "ü" }, {}, { "idempotency-key": "click-1" });
    await send(strait, "review:1", { b: 1.5, a: "ü" });
    const [, { id }] = (await get(strait, "review:1", "sends")).body.data;
    const told = async () => {
      const paths = ["sends", "sends?disposition=delivered", "explain", `explain?event_id=${id}`];
      const answers = await Promise.all(paths.map((path) => get(strait, "review:1", path)));
      return answers.map(({ status, body }) => ({ status, body }));
    };
    const before = await told();

    await strait.db.query(sql`
      INSERT INTO events (project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload,
        payload_digest, actor, channel, idempotency_key, created_at)
      SELECT project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload,
        ${hash("sha256", '{"a":"ü","b":1.5}')}, actor, channel, idempotency_key, created_at
      FROM sends WHERE disposition = 'delivered'`);
    await strait.db.query(sql`UPDATE event_triggers SET event_id = NULL, channel = NULL, idempotency_key = NULL`);

    expect(before.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(before[0]?.body.data.map((event: { disposition: string }) => event.disposition)).toEqual([
      "duplicate",
      "delivered",
    ]);
    expect(await told()).toEqual(before);
  });

  test("is of this project and this environment only", async () => {
    const strait = await startServer();
    await send(strait, "shared:key", 1);
    const other = await strait.anotherProject();
    const staging = await stagingKey(strait);

    const byOther = await get(strait, "shared:key", "sends", "", { token: other.apiKey });
    const byStaging = await get(strait, "shared:key", "sends", "", { token: staging });

    expect(byOther.body.data).toEqual([]);
    expect(byStaging.body.data).toEqual([]);
  });
});

/** A key for another environment of the project. */
async function stagingKey(strait: TestServer): Promise<string> {
  const environment_id = "env_staging";
  await strait.db.query({
    text: "INSERT INTO environments (project_id, id, name) VALUES ($1, $2, 'staging') ON CONFLICT DO NOTHING",
    values: [strait.projectId, environment_id],
  });
  const key = { name: "Staging", scopes: ["*"] as const, environment_id, expires_in_days: null };
  return (await insertKey(strait.db, strait.server.context.clock.newId("key"), strait.projectId, key)).key;
}

describe("D1 explaining events", () => {
  test("tells of each event which rule applied, and what a send would meet now", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await send(strait, "review:1", { early: true });
    const before = await get(strait, "review:1", "explain");
    const run = await stage.run();
    await run.wait("review:1");
    await send(strait, "review:1", { early: true });
    await send(strait, "review:1", { other: true });
    await send(strait, "review:1", { kept: true }, { for_next: true });

    const { status, body } = await get(strait, "review:1", "explain");

    expect(before.body).toMatchObject({
      explanation: { rule: "B1" },
      trigger: null,
      now: { status: 202, disposition: "buffered", code: null, explanation: { rule: "B1" } },
      sends: [{ disposition: "buffered", explanation: { rule: "B1" } }],
    });
    expect(status).toBe(200);
    expect(body.trigger).toMatchObject({ status: "received", generation: 1 });
    expect(body.explanation).toMatchObject({ rule: "R1" });
    expect(body.now).toMatchObject({ status: 409, disposition: "conflict", code: "already_resolved" });
    expect(
      body.sends.map((event: { disposition: string; explanation: { rule: string } }) => [
        event.disposition,
        event.explanation.rule,
      ]),
    ).toEqual([
      ["buffered", "B3"],
      ["conflict", "S1"],
      ["duplicate", "S1"],
      ["delivered", "B2"],
    ]);
    expect(body.nearest_keys).toEqual([]);
  });

  test("R2 B3 tells of a deadline that has passed before anybody noticed, and does not touch it", async () => {
    const strait = await startServer({ runsEngine: false });
    await strait.tick("dispatch-runs");
    const stage = await startStage(strait);
    await stage.parked("review:2", { timeout_secs: 60 });
    await strait.db.query({
      text: "UPDATE event_triggers SET expires_at = strait_now(), closes_at = strait_now()",
      values: [],
    });
    const contents = await contentsOf(strait.db);

    const { body } = await get(strait, "review:2", "explain");
    const refused = await send(strait, "review:2", 1);
    const after = await get(strait, "review:2", "explain");

    expect(body.now).toMatchObject({ status: 409, code: "wait_closed", explanation: { rule: "R2" } });
    expect((await contentsOf(strait.db)).event_triggers).not.toBe(contents.event_triggers); // by the send
    expect(refused.status).toBe(409);
    expect(after.body).toMatchObject({
      trigger: { status: "timed_out" },
      sends: [{ disposition: "late", explanation: { rule: "R2", text: expect.stringContaining("timed_out") } }],
    });
  });

  test("tells of one event, or of one wait, of an earlier generation", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("review:3");
    await send(strait, "review:3", { n: 1 });
    await stage.parked("review:3");
    const [event] = (await get(strait, "review:3", "sends")).body.data;

    const ofEvent = await get(strait, "review:3", "explain", `?event_id=${event.id}`);
    const ofWait = await get(strait, "review:3", "explain", `?trigger_id=${first.trigger.id}`);
    const foreign = await get(strait, "review:4", "explain", `?event_id=${event.id}`);
    const foreignWait = await get(strait, "review:4", "explain", `?trigger_id=${first.trigger.id}`);

    expect(ofEvent.body).toMatchObject({
      explanation: { rule: "R1" },
      trigger: { id: first.trigger.id, generation: 1 },
      sends: [{ id: event.id }],
      now: { disposition: "delivered" },
    });
    expect(ofWait.body).toMatchObject({ trigger: { generation: 1, status: "received" }, sends: [{ id: event.id }] });
    expect([foreign.status, foreignWait.status]).toEqual([404, 404]);
  });

  test("U5 finds the keys that may have been meant, and says so in words", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    for (const key of ["review:doc-7", "Review:Doc-8", "review:doc-900"]) await stage.parked(key);
    const staging = await stagingKey(strait);

    const near = async (key: string, options = {}) => (await get(strait, key, "explain", "", options)).body;
    const slip = await near("reveiw:doc-7");
    const letterCase = await near("review:doc-8");
    const elsewhere = await near("review:doc-7", { token: staging });
    const nothing = await near("something else entirely");

    expect(slip.nearest_keys).toMatchObject([{ event_key: "review:doc-7", reason: "spelling", status: "waiting" }]);
    expect(slip.explanation.text).toContain('Was "review:doc-7" meant?');
    expect(letterCase.nearest_keys[0]).toMatchObject({ event_key: "Review:Doc-8", reason: "case" });
    expect(elsewhere.nearest_keys[0]).toMatchObject({ event_key: "review:doc-7", reason: "environment" });
    expect(elsewhere.explanation.text).toContain("these credentials are for env_staging");
    expect(nothing.nearest_keys).toEqual([]);
    expect(nothing.explanation.text).toContain("{type}:{entity}");
  });

  test("never reads other projects, and changes nothing", async () => {
    const strait = await startServer({ runsEngine: false });
    await strait.tick("dispatch-runs");
    const stage = await startStage(strait);
    await stage.parked("secret:key");
    const other = await strait.anotherProject();
    const before = await contentsOf(strait.db);

    const { status, body } = await get(strait, "secret:kez", "explain", "", { token: other.apiKey });
    const same = await get(strait, "secret:key", "explain", "", { token: other.apiKey });

    expect(status).toBe(200);
    expect([body.nearest_keys, body.sends, same.body.nearest_keys]).toEqual([[], [], []]);
    expect(same.body.trigger).toBeNull();
    expect(await contentsOf(strait.db)).toEqual(before);
  });
});
