import type { AuditEvent } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { type Refusal, refusals } from "../src/service/refusals.ts";
import { advanceClock } from "./clock.ts";
import { countOf, startQuiet } from "./given.ts";
import { plain } from "./plans.ts";
import { startServer, type TestServer } from "./server.ts";
import { hold, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";

const SILENT = { runsEngine: false, env: { LOG_LEVEL: "silent" } } as const;

/** A key with few rights. */
async function givenKey(strait: TestServer, scopes: readonly string[], token = strait.apiKey) {
  const { body } = await strait.request("POST", "/v1/api-keys", { body: { name: "K", scopes }, token });
  return { id: body.id as string, token: body.key as string };
}

async function refusedTo(strait: TestServer, query = "", token = strait.apiKey): Promise<AuditEvent[]> {
  const { body } = await strait.request("GET", `/v1/audit-events?action=operation.refuse${query}`, { token });
  return body.data;
}

const sendBy = (strait: TestServer, token: string, payload: unknown = 1) =>
  strait.request("POST", "/v1/events/aml%3Au1/send", { body: { payload }, token });

describe("what a caller is refused with 403", () => {
  test("W1 is audited: who, which operation on what, the missing scope, when and by which request, and nothing of the body", async () => {
    const strait = await startServer(SILENT);
    const key = await givenKey(strait, ["events:read"]);

    const answer = await sendBy(strait, key.token, "hunter2");

    expect([answer.status, answer.body.error.code]).toEqual([403, "forbidden"]);
    const rows = await refusedTo(strait, `&actor_id=${key.id}&resource_id=postV1EventsByEventKeySend`);
    expect(rows).toEqual([
      {
        id: expect.stringMatching(/^aud_/),
        project_id: strait.projectId,
        actor: { kind: "service", id: key.id, authenticated_by: "api_key" },
        channel: "api",
        action: "operation.refuse",
        resource_type: "operation",
        resource_id: "postV1EventsByEventKeySend",
        request_id: answer.headers.get("x-request-id"),
        details: { missing_scope: "events:write", path: { eventKey: "aml:u1" }, count: 1 },
        created_at: expect.stringMatching(/Z$/),
      },
    ]);
    expect(JSON.stringify(rows)).not.toMatch(new RegExp(`hunter2|${key.token}`));
  });

  test("W1 is audited where a use case refuses it, though its transaction is rolled back", async () => {
    const strait = await startServer(SILENT);
    const key = await givenKey(strait, ["api-keys:manage", "events:write"]);
    const asked = [
      { path: "/v1/api-keys", body: { name: "More", scopes: ["jobs:write"] }, lacks: "jobs:write" },
      { path: "/v1/stream-tokens", body: { event_key: "k" }, lacks: "events:read" },
    ];

    const headers = { "idempotency-key": "once" };
    for (const { path, body } of asked) await strait.request("POST", path, { body, headers, token: key.token });

    const rows = await refusedTo(strait);
    expect(rows.map(({ resource_id, details }) => [resource_id, details.missing_scope])).toEqual([
      ["postV1StreamTokens", "events:read"],
      ["postV1ApiKeys", "jobs:write"],
    ]);
  });

  test("W1 is audited of a run and of a stream's reader that reach for another one, who lack no scope", async () => {
    const strait = await startQuiet();
    const stage = await startStage(strait);
    const [own, other] = [await stage.parked("own"), await stage.parked("other")];
    const { body: stream } = await strait.request("POST", "/v1/stream-tokens", { body: { event_key: "own" } });

    const answers = [
      await strait.request("GET", `/sdk/v1/runs/${other.id}/checkpoint`, { token: own.token }),
      await strait.request("GET", `/v1/events/other/stream?token=${stream.token}`, { token: null }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([403, 403]);
    const [byReader, byRun] = await refusedTo(strait);
    expect(byRun).toMatchObject({
      actor: { kind: "run", id: own.id, authenticated_by: "run_token" },
      resource_id: "getSdkV1RunsByRunIDCheckpoint",
      details: { missing_scope: null, path: { runID: other.id } },
    });
    expect(byReader).toMatchObject({
      actor: { kind: "service" },
      resource_id: "getV1EventsByEventKeyStream",
      details: { missing_scope: null, path: { eventKey: "other" } },
    });
  });

  test("W1 is the row of the caller's project, whatever the request names", async () => {
    const strait = await startServer(SILENT);
    const other = await strait.anotherProject();
    const { body: job } = await strait.request("POST", "/v1/jobs", {
      body: { name: "J", slug: "j", endpoint_url: "https://example.com/" },
    });
    const stranger = await givenKey(strait, ["events:read"], other.apiKey);

    const { status } = await strait.request("DELETE", `/v1/jobs/${job.id}`, {
      token: stranger.token,
      headers: { "x-project-id": strait.projectId },
    });

    expect(status).toBe(403);
    expect(await refusedTo(strait)).toEqual([]);
    expect(await refusedTo(strait, "", other.apiKey)).toMatchObject([
      { project_id: other.projectId, actor: { id: stranger.id }, details: { path: { jobID: job.id } } },
    ]);
  });

  test("W1 fills no table: repetitions cost no statement, and become one row with their number when the server stops", async () => {
    const strait = await startServer(SILENT);
    const beside = await startServer({ ...SILENT, databaseUrl: strait.databaseUrl });
    const key = await givenKey(strait, ["events:read"]);
    await sendBy(strait, key.token);
    const recorded = recordStatements();

    const answers = await Promise.all(Array.from({ length: 50 }, () => sendBy(strait, key.token)));
    await strait.request("POST", "/v1/events/last/send", { body: { payload: 1 }, token: key.token });
    const repeated = recorded.map(({ text }) => text);
    await strait.request("DELETE", "/v1/jobs/j", { token: key.token });
    const before = await refusedTo(strait);
    await strait.close();

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]));
    expect(repeated).toEqual([]);
    expect(before.map(({ resource_id }) => resource_id)).toEqual(["deleteV1JobsByJobID", "postV1EventsByEventKeySend"]);
    const [after, ...rest] = await refusedTo(beside, "", strait.apiKey);
    expect(after?.details).toEqual({ missing_scope: "events:write", path: { eventKey: "last" }, count: 51 });
    expect(rest.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  });

  test("W1 starts afresh after each flush, which writes what was repeated and nothing else", async () => {
    const strait = await startServer(SILENT);
    const { note, flush } = refusals(strait.server.context, (error) => {
      throw error;
    });
    const of = (actor: string) =>
      note({
        projectId: strait.projectId,
        actor,
        operation: "postV1Jobs",
        path: {},
        missingScope: "jobs:write",
        requestId: "r",
      });
    const counts = async () => (await refusedTo(strait)).map(({ actor, details }) => [actor.id, details.count]);
    await of("apikey:a");
    await of("apikey:a");
    await of("apikey:a");
    await of("apikey:b");

    await flush();
    await flush();
    const first = await counts();
    await of("apikey:b");

    expect(first).toEqual([
      ["a", 2],
      ["b", 1],
      ["a", 1],
    ]);
    expect(await counts()).toEqual([["b", 1], ...first]);
  });

  test("W1 is 403 also when it cannot be written down", async () => {
    const strait = await startServer(SILENT);
    const key = await givenKey(strait, ["events:read"]);
    await strait.db.query(plain("ALTER TABLE audit_events ADD CONSTRAINT nothing_fits CHECK (false) NOT VALID"));

    const answers = [await sendBy(strait, key.token), await sendBy(strait, key.token)];

    expect(answers.map(({ status, body }) => [status, body.error.code])).toEqual([
      [403, "forbidden"],
      [403, "forbidden"],
    ]);
    expect(await refusedTo(strait)).toEqual([]);
  });

  test("W1 what could not be written down is written later, and none is forgotten", async () => {
    const strait = await startServer(SILENT);
    const errors: unknown[] = [];
    const noted = refusals(strait.server.context, (error) => errors.push(error));
    const refusal: Refusal = {
      projectId: strait.projectId,
      actor: "apikey:key_1",
      operation: "postV1Jobs",
      path: {},
      missingScope: "jobs:write",
      requestId: "req_1",
    };
    await strait.db.query(plain("ALTER TABLE audit_events ADD CONSTRAINT nothing_fits CHECK (false) NOT VALID"));

    await noted.note(refusal);
    await noted.note(refusal);
    await noted.flush();
    await strait.db.query(plain("ALTER TABLE audit_events DROP CONSTRAINT nothing_fits"));
    await noted.flush();

    expect(errors).toHaveLength(2);
    expect((await refusedTo(strait)).map(({ details }) => details.count)).toEqual([2]);
  });

  test("W1 names nothing of a path in which somebody has pasted a key or a token", async () => {
    const strait = await startServer(SILENT);
    const key = await givenKey(strait, ["events:read"]);

    for (const path of [`/v1/runs/${key.token}`, "/v1/jobs/eyJhbGciOiJIUzI1NiJ9.e30.c2ln"]) {
      const { status } = await strait.request("DELETE", path, { token: key.token });
      expect(status).toBe(403);
    }

    expect((await refusedTo(strait)).map(({ details }) => details.path)).toEqual([{}, {}]);
  });

  test("W1 names nothing of a path that breaks the contract", async () => {
    const strait = await startServer(SILENT);
    const key = await givenKey(strait, ["events:read"]);

    const { status } = await strait.request("POST", `/v1/events/${"k".repeat(600)}/send`, {
      body: { payload: 1 },
      token: key.token,
    });

    expect(status).toBe(403);
    expect((await refusedTo(strait))[0]?.details.path).toEqual({});
  });

  test("W1 is not who is unknown, and not what is allowed", async () => {
    const strait = await startServer(SILENT);
    const known = await countOf(strait, "audit_events");

    const answers = [
      await sendBy(strait, "strait_nobody"),
      await sendBy(strait, strait.apiKey),
      await strait.request("GET", "/v1/jobs/nobody"),
    ];

    expect(answers.map(({ status }) => status)).toEqual([401, 202, 404]);
    expect(await countOf(strait, "audit_events")).toBe(known);
  });
});

describe("the retention of audit events", () => {
  test("W1 W4 keeps them for AUDIT_EVENT_RETENTION, a year by default, and deletes the older ones in groups", async () => {
    const [strait, brief] = [
      await startServer(SILENT),
      await startServer({ ...SILENT, env: { AUDIT_EVENT_RETENTION: "48h" } }),
    ];
    const passes = async (server: TestServer, days: number) => {
      await advanceClock(server.db, days * 86_400_000);
      await server.server.context.clock.synchronize(server.db);
      await server.tick("delete-old-audit-events");
      return countOf(server, "audit_events");
    };
    const born = await countOf(strait, "audit_events");
    await strait.db.query(
      plain(`
      INSERT INTO audit_events (project_id, id, actor_kind, channel, action, resource_type, resource_id)
      SELECT id, 'aud_00' || n, 'system', 'server', 'job.create', 'job', 'j' FROM projects, generate_series(1, 1200) AS n`),
    );

    const kept = [await passes(strait, 364), await passes(brief, 1)];
    await strait.anotherProject();
    await advanceClock(strait.db, 2 * 86_400_000);
    await strait.server.context.clock.synchronize(strait.db);
    const { handled } = (await strait.server.engine.tasks.get("delete-old-audit-events")?.tick()) ?? {};
    const left = [await passes(strait, 0), await passes(brief, 2)];

    expect(kept).toEqual([(born ?? 0) + 1200, 1]);
    expect(handled).toBe(500);
    expect(left).toEqual([1, 0]);
  });

  test("W4 waits for nobody: what somebody holds is deleted another time", async () => {
    const strait = await startServer(SILENT);
    const holder = await hold(strait, plain("SELECT 1 FROM audit_events FOR UPDATE"));
    await advanceClock(strait.db, 400 * 86_400_000);
    await strait.server.context.clock.synchronize(strait.db);

    await strait.tick("delete-old-audit-events");
    const held = await countOf(strait, "audit_events");
    await holder.release();
    await strait.tick("delete-old-audit-events");

    expect([held, await countOf(strait, "audit_events")]).toEqual([1, 0]);
  });
});
