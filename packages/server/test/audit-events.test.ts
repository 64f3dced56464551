import type { AuditAction, AuditEvent, OperationId } from "@strait/contract";
import { auditActions, examples, operations } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { type Queryable, sql } from "../src/store/sql.ts";
import { contentsOf } from "./contents.ts";
import { freshDatabase } from "./database.ts";
import { type ExampleWorld, examplePath, operationIds, startExampleWorld } from "./example-world.ts";
import { startQuiet } from "./given.ts";
import { indexesOf, plain, plansOf, wholeScans } from "./plans.ts";
import { type Answer, startServer, type TestServer } from "./server.ts";
import { startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";

/** What each operation that changes something is written down as. */
const audited: Partial<Record<OperationId, AuditAction>> = {
  postV1Projects: "project.create",
  patchV1ProjectsByProjectID: "project.update",
  postV1EventsPurge: "project.purge_events",
  postV1ApiKeys: "api_key.create",
  postV1ApiKeysByKeyIDRotate: "api_key.rotate",
  deleteV1ApiKeysByKeyID: "api_key.revoke",
  postV1Jobs: "job.create",
  patchV1JobsByJobID: "job.update",
  deleteV1JobsByJobID: "job.delete",
  postV1Workflows: "workflow.create",
  patchV1WorkflowsByWorkflowID: "workflow.update",
  deleteV1WorkflowsByWorkflowID: "workflow.delete",
  deleteV1RunsByRunID: "run.cancel",
  deleteV1WorkflowRunsByWorkflowRunID: "workflow_run.cancel",
  deleteV1EventsByEventKey: "event_trigger.cancel",
  postV1EventsByEventKeyExtend: "event_trigger.extend",
  postV1EventDeadLettersByEventIDRetarget: "dead_letter.retarget",
  postV1EventDeadLettersByEventIDDiscard: "dead_letter.discard",
  postV1WebhooksDeliveriesByDeliveryIDRetry: "webhook_delivery.retry",
  postV1WebhooksDeliveriesByDeliveryIDReplay: "webhook_delivery.replay",
};

/** What changes something else: who did it stands in what it makes, or it changes nothing. */
const recordedElsewhere: ReadonlySet<OperationId> = new Set([
  // Reads for minutes what its maker may read; the maker stands in it.
  "postV1StreamTokens",
  "postV1EventsByEventKeySend",
  "postV1EventsByEventKeyReject",
  "postV1EventsPrefixByPrefixSend",
  "postV1RunsByRunIDInboxByName",
  "postV1JobsByJobIDTrigger",
  "postV1JobsByJobIDTriggerBulk",
  "postV1WorkflowsByWorkflowIDTrigger",
  "postV1WorkflowsByWorkflowIDDryRun",
]);

const bodies: Partial<Record<OperationId, object>> = {
  postV1EventsPurge: { before: "2100-01-01T00:00:00Z" },
};

function act(world: ExampleWorld, id: OperationId): Promise<Answer> {
  const { body = examples[id].request.body } = { body: bodies[id] };
  return world.request(operations[id].method, examplePath(id), { body, ...world.credentialsOf(id) });
}

const rowsOf = (db: Queryable) =>
  db.query<AuditEvent & { readonly text: string }>(sql`
    SELECT a.*, to_json(a)::text AS text FROM audit_events a WHERE id <> 'aud_01k0000000e0080000000000ex' ORDER BY id`);

/** A wait that has ended, so that there is something to purge. */
async function givenEndedWait(world: ExampleWorld): Promise<void> {
  await world.db.query(sql`
    INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, status,
      job_run_id, finished_at)
    VALUES (${world.projectId}, 'trg_01k0000000e008000000000end', 'env_01k0000000e0080000000000ex', 'ended', 1, 'job_run',
      'event', 'timed_out', 'run_01k0000000e00800000000d0ne', strait_now())`);
}

const acts = Object.entries(audited) as [OperationId, AuditAction][];

describe("an act", () => {
  test("W1 is one that is audited, or is recorded with what it makes: every operation says which", () => {
    const changing = operationIds.filter((id) => operations[id].method !== "GET" && !id.includes("SdkV1"));

    expect([...Object.keys(audited), ...recordedElsewhere].toSorted()).toEqual(changing.toSorted());
    expect(new Set([...Object.values(audited), "operation.refuse"])).toEqual(new Set(auditActions));
  });

  test.each(acts)("W1 R1 by %s is written down as %s, once, or does not happen", async (id, action) => {
    const world = await startExampleWorld({ LOG_LEVEL: "silent" });
    await givenEndedWait(world);
    await world.db.query(plain("ALTER TABLE audit_events ADD CONSTRAINT nothing_fits CHECK (false) NOT VALID"));
    const before = await contentsOf(world.db);

    const unwritten = await act(world, id);
    const after = await contentsOf(world.db);
    await world.db.query(plain("ALTER TABLE audit_events DROP CONSTRAINT nothing_fits"));
    const known = (await rowsOf(world.db)).length;
    const written = await act(world, id);

    expect([unwritten.status, after]).toEqual([500, before]);
    expect(written.status).toBeLessThan(300);
    const rows = (await rowsOf(world.db)).slice(known);
    expect(rows).toMatchObject([
      {
        action,
        resource_type: action.split(".")[0],
        channel: "api",
        request_id: written.headers.get("x-request-id"),
      },
    ]);
  });
});

const list = async (strait: TestServer, query = ""): Promise<AuditEvent[]> =>
  (await strait.request("GET", `/v1/audit-events${query}`)).body.data;

describe("the audit events of a project", () => {
  test("W1 tell who did what to what, when and by which request, newest first", async () => {
    const strait = await startServer({ runsEngine: false });
    const job = await strait.request("POST", "/v1/jobs", {
      body: { name: "J", slug: "j", endpoint_url: "https://example.com/hunter2" },
    });
    const changed = await strait.request("PATCH", `/v1/jobs/${job.body.id}`, {
      body: { timeout_secs: 5, default_run_metadata: { token: "hunter2" } },
    });
    const limited = await strait.request("PATCH", `/v1/projects/${strait.projectId}`, {
      token: null,
      headers: { "x-internal-secret": strait.internalSecret },
      body: { max_active_event_triggers: 5 },
    });

    const [project, update, create, birth, ...rest] = await list(strait);

    const service = { kind: "service", id: expect.stringMatching(/^key_/), authenticated_by: "api_key" };
    expect(update).toEqual({
      id: expect.stringMatching(/^aud_/),
      project_id: strait.projectId,
      actor: service,
      channel: "api",
      action: "job.update",
      resource_type: "job",
      resource_id: job.body.id,
      request_id: changed.headers.get("x-request-id"),
      details: { slug: "j", version: 2, changed: ["timeout_secs", "default_run_metadata"] },
      created_at: expect.stringMatching(/Z$/),
    });
    expect(create).toMatchObject({ action: "job.create", resource_id: job.body.id, details: { slug: "j" } });
    expect(project).toMatchObject({
      action: "project.update",
      resource_id: strait.projectId,
      actor: { kind: "operator", id: null, authenticated_by: "internal_secret" },
      request_id: limited.headers.get("x-request-id"),
      details: { changed: ["max_active_event_triggers"] },
    });
    expect(birth).toMatchObject({ action: "project.create", actor: { kind: "system" }, channel: "server" });
    expect([rest, JSON.stringify([project, update, create])]).toEqual([[], expect.not.stringContaining("hunter2")]);
  });

  test("W1 R4 R5 tell of each wait that was canceled or got another deadline, with the reason and both deadlines", async () => {
    const strait = await startQuiet();
    const stage = await startStage(strait);
    const waits = [await stage.parked("k", { broadcast: true }), await stage.parked("k", { broadcast: true })];
    const single = await stage.parked("single", { timeout_secs: 60 });
    const extended = await strait.request("POST", "/v1/events/single/extend", { body: { timeout_secs: 30 } });
    await strait.request("DELETE", "/v1/events/k?reason=withdrawn");

    const [second, first, extension] = await list(strait);

    expect(new Set([first?.resource_id, second?.resource_id])).toEqual(new Set(waits.map(({ trigger }) => trigger.id)));
    expect(first).toMatchObject({ action: "event_trigger.cancel", details: { event_key: "k", reason: "withdrawn" } });
    expect(extension).toMatchObject({
      action: "event_trigger.extend",
      resource_id: single.trigger.id,
      details: {
        version: 2,
        expires_at: extended.body.expires_at,
        expires_at_before: single.trigger.expires_at,
      },
    });
  });

  test("W1 do not tell of what met a conflict or nothing at all, was repeated or only tried", async () => {
    const strait = await startServer({ runsEngine: false });
    const job = { name: "J", slug: "j", endpoint_url: "https://example.com/" };
    const once = { headers: { "idempotency-key": "once" } };
    const { body: key } = await strait.request("POST", "/v1/api-keys", { body: { name: "K", scopes: ["jobs:read"] } });

    const answers = [
      await strait.request("POST", "/v1/jobs", { body: job, ...once }),
      await strait.request("POST", "/v1/jobs", { body: job, ...once }),
      await strait.request("POST", "/v1/jobs", { body: job }),
      await strait.request("DELETE", "/v1/events/nobody"),
      await strait.request("POST", "/v1/events/purge", { body: { older_than_days: 1, dry_run: true } }),
      await strait.request("POST", "/v1/events/purge", { body: { older_than_days: 1 } }),
      await strait.request("DELETE", `/v1/api-keys/${key.id}`),
      await strait.request("DELETE", `/v1/api-keys/${key.id}`),
    ];

    expect(answers.map(({ status }) => status)).toEqual([201, 201, 409, 404, 200, 200, 200, 200]);
    const actions = (await list(strait)).map(({ action }) => action);
    expect(actions).toEqual(["api_key.revoke", "job.create", "api_key.create", "project.create"]);
    expect((await rowsOf(strait.db)).map(({ text }) => text).join()).not.toContain(key.key);
  });

  test("can be asked for by actor, act, resource and time, and are nobody else's", async () => {
    const strait = await startServer({ runsEngine: false });
    const other = await strait.anotherProject();
    const { body: job } = await strait.request("POST", "/v1/jobs", {
      body: { name: "J", slug: "j", endpoint_url: "https://example.com/" },
    });
    const [{ created_at: at } = { created_at: "" }] = await list(strait);
    await strait.advance(2 * 86_400_000);
    await strait.request("DELETE", "/v1/jobs/j");
    const [{ actor } = { actor: { id: "" } }] = await list(strait);
    const ask = async (query: string) => (await list(strait, `?${query}`)).map(({ action }) => action);

    const found = {
      actor_id: await ask(`actor_id=${actor.id}`),
      actor_kind: await ask("actor_kind=system"),
      action: await ask("action=job.create"),
      resource_type: await ask("resource_type=project"),
      resource_id: await ask(`resource_id=${job.id}&actor_kind=service`),
      from: await ask(`from=${at}`),
      to: await ask(`to=${at}`),
      nothing: await ask(`from=${at}&to=${at}`),
    };
    const foreign = await strait.request("GET", "/v1/audit-events", { token: other.apiKey });
    const { body: reader } = await strait.request("POST", "/v1/api-keys", {
      body: { name: "K", scopes: ["audit:read"] },
    });
    const { body: writer } = await strait.request("POST", "/v1/api-keys", {
      body: { name: "K", scopes: ["events:read"] },
    });
    const answers = await Promise.all(
      [reader, writer].map(({ key }) => strait.request("GET", "/v1/audit-events", { token: key })),
    );

    expect(found).toEqual({
      actor_id: ["job.delete", "job.create"],
      actor_kind: ["project.create"],
      action: ["job.create"],
      resource_type: ["project.create"],
      resource_id: ["job.delete", "job.create"],
      from: ["job.delete", "job.create"],
      to: ["project.create"],
      nothing: [],
    });
    expect(foreign.body.data.map(({ project_id }: AuditEvent) => project_id)).toEqual([other.projectId]);
    expect(answers.map(({ status }) => status)).toEqual([200, 403]);
  });

  test("are never changed, not by hand either", async () => {
    const strait = await startServer({ runsEngine: false });

    const change = strait.db.query(sql`UPDATE audit_events SET actor_id = 'key_other'`);

    await expect(change).rejects.toThrow("a row of audit_events is never changed");
  });

  test("Q5 are read by the index of the filter, once the planner knows the table, and never as a whole", async () => {
    const strait = await startServer({ runsEngine: false });
    const recorded = recordStatements();
    const statements = new Map<string, string>();
    for (const [query, index] of [
      ["", "audit_events_pkey"],
      ["from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", "audit_events_pkey"],
      ["actor_kind=operator", "audit_events_by_actor_kind"],
      ["actor_id=key_1", "audit_events_by_actor"],
      ["action=job.delete", "audit_events_by_action"],
      ["resource_type=workflow", "audit_events_by_resource_type"],
      ["resource_id=job_1", "audit_events_by_resource"],
    ] as const) {
      recorded.length = 0;
      await strait.request("GET", `/v1/audit-events?${query}`);
      statements.set(recorded.find(({ text }) => text.includes("FROM audit_events"))?.text ?? query, index);
    }
    const [empty, filled] = [await freshDatabase(), await startServer({ runsEngine: false })];
    await filled.db.query(sql`
      INSERT INTO audit_events (project_id, id, actor_kind, actor_id, channel, action, resource_type, resource_id)
      SELECT 'p' || n % 20, 'aud_' || lpad(n::text, 10, '0'), CASE WHEN n % 10 = 0 THEN 'operator' ELSE 'service' END,
        'key_' || n % 400, 'api', 'a' || n % 15, 'r' || n % 9, 'job_' || n % 3000
      FROM generate_series(1, 30000) AS n`);
    await filled.db.query(plain("ANALYZE"));

    const texts = [...statements.keys()];
    const [young, old] = [await plansOf(empty.url, texts), await plansOf(filled.databaseUrl, texts)];

    expect([...young.values()].flatMap((plan) => wholeScans(plan))).toEqual([]);
    expect(new Map([...old].map(([text, plan]) => [text, indexesOf(plan).join()]))).toEqual(statements);
  });
});
