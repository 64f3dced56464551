import type { JsonValue } from "@strait/contract";
import { createClient, isStraitError } from "@strait/ts";
import { setupServer } from "msw/node";
import { describe, expect, onTestFinished, test } from "vitest";
import { createMockServer, failure, inTurn, type MockServerOptions } from "../src/index.ts";

const baseUrl = "https://strait.dev";

/** A mock server, a client of it, and a run whose code the test plays. */
async function givenServer(options: Partial<MockServerOptions> = {}) {
  const strait = createMockServer({ baseUrl, ...options });
  onTestFinished(() => strait.close());
  const { fetch } = strait;
  const client = createClient({ baseUrl, auth: { type: "bearer", token: "strait_test" }, fetch, retries: 0 });
  const api = client.operationsPromise;
  await api.postV1Jobs({
    body: { name: "Review", slug: "review", endpoint_url: "https://app.test/review" },
  });

  async function triggerRun(payload: JsonValue = null) {
    const made = await api.postV1JobsByJobIDTrigger({ pathParams: { jobID: "review" }, body: { payload } });
    if ("dry_run" in made) throw new Error("a run was to be made");
    return made;
  }

  async function givenRun() {
    const { id, run_token } = await triggerRun();
    const token = run_token ?? "";
    const code = createClient({ baseUrl, auth: { type: "runToken", token }, fetch, retries: 0 });
    return {
      id,
      wait: (
        event_key: string,
        more: { timeout_secs?: number; on_cancel?: "resume"; payload_schema?: Record<string, JsonValue> } = {},
      ) =>
        code.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({
          pathParams: { runID: id },
          body: { event_key, ...more },
        }),
    };
  }
  return { strait, client, api, triggerRun, givenRun };
}

/** The code of the error that a call ends with. */
async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return isStraitError(error) && "code" in error ? error.code : undefined;
}

const headers = { authorization: "Bearer strait_test" };

describe("a mock server", () => {
  test("answers a get with what was sent (ST-21)", async () => {
    const { api, givenRun } = await givenServer();
    const run = await givenRun();
    const opened = await run.wait("review:7");

    const sent = await api.postV1EventsByEventKeySend({
      pathParams: { eventKey: "review:7" },
      body: { payload: { approved: true } },
    });

    expect([opened.status, sent.status]).toEqual(["waiting", "received"]);
    const read = await api.getV1EventsByEventKey({ pathParams: { eventKey: "review:7" } });
    expect(read).toMatchObject({ status: "received", response_payload: { approved: true } });
    expect(await api.getV1RunsByRunID({ pathParams: { runID: run.id } })).toMatchObject({
      status: "executing",
      dispatch_seq: 2,
      resume_reason: "event",
      checkpoint: { approved: true },
    });
  });

  test("answers all under a prefix or none, and goes on with no cursor but its own (P3, P4)", async () => {
    const { api, givenRun } = await givenServer();
    const refused = { type: "object", required: ["page"] };
    for (const [key, schema] of [["batch:1"], ["batch:2", refused], ["batch:3"]] as const) {
      await (await givenRun()).wait(key, schema && { payload_schema: schema });
    }
    const pathParams = { prefix: "batch:" };
    const send = (body: { mode?: "atomic"; limit?: number; cursor?: string }, prefix = "batch:") =>
      api.postV1EventsPrefixByPrefixSend({ pathParams: { prefix }, body: { payload: 7, ...body } });

    const atomic = await send({ mode: "atomic" }).catch((error) => error);
    const untouched = await api.getV1Events({ query: { status: "waiting", prefix: "batch:" } });
    const page = await send({ limit: 2 });
    const foreign = await send({ cursor: page.next_cursor ?? "" }, "other:").catch((error) => error);
    const rest = await api.postV1EventsPrefixByPrefixSend({ pathParams, body: { cursor: page.next_cursor ?? "" } });

    expect([atomic.code, untouched.data.length]).toEqual(["payload_mismatch", 3]);
    expect(page).toMatchObject({
      resolved: 1,
      has_more: true,
      skipped: [{ event_key: "batch:2", code: "payload_mismatch" }],
    });
    expect(foreign).toMatchObject({ status: 400, code: "validation_error" });
    expect(rest).toMatchObject({ resolved: 1, skipped: [], has_more: false, next_cursor: null });
  });

  test("lists what waits by deadline, and ends it when that time has passed (R2)", async () => {
    const { strait, api, givenRun } = await givenServer();
    const [slow, quick] = [await givenRun(), await givenRun()];
    await slow.wait("slow", { timeout_secs: 7_200 });
    await quick.wait("quick", { timeout_secs: 60 });
    const window = { expires_after: strait.now().toISOString() };

    const before = await api.getV1Events({ query: window });
    strait.advance("1h");
    const after = await api.getV1Events({ query: window });

    expect(before.data.map(({ event_key }) => event_key)).toEqual(["quick", "slow"]);
    expect(after.data.map(({ event_key }) => event_key)).toEqual(["slow"]);
    const { status } = await api.getV1RunsByRunID({ pathParams: { runID: quick.id } });
    expect(status).toBe("timed_out");
  });

  test("streams a snapshot, every change and the end, and goes on behind a cursor (T1, T3)", async () => {
    const { strait, client, api, givenRun } = await givenServer();
    const run = await givenRun();
    await run.wait("review:7");
    const seen: string[] = [];

    for await (const { data } of client.stream.getV1EventsByEventKeyStream({ pathParams: { eventKey: "review:7" } })) {
      seen.push(data.status);
      if (data.status === "waiting") {
        await api.postV1EventsByEventKeyReject({ pathParams: { eventKey: "review:7" }, body: { reason: "blurred" } });
      }
    }

    expect(seen).toEqual(["waiting", "canceled"]);
    const whole = await strait.fetch(`${baseUrl}/v1/runs/${run.id}/stream`, { headers });
    const text = await whole.text();
    expect(text).toMatch(/^retry: \d+\n\nevent: status\n.*"status":"failed".*event: end\ndata: \{\}\n\n$/s);
    const cursor = /id: (.*)/.exec(text)?.[1] ?? "";
    const again = await strait.fetch(`${baseUrl}/v1/runs/${run.id}/stream`, {
      headers: { ...headers, "last-event-id": cursor },
    });
    expect(again.status).toBe(204);
  });

  test("gives dispatches to an executor, whose answers complete and retry runs", async () => {
    const answers = inTurn(503, 200);
    const seen: (string | null)[] = [];
    const { strait, client, api, triggerRun } = await givenServer({
      executor: async (request) => {
        seen.push(request.headers.get("x-attempt"));
        return Response.json(await request.json(), { status: answers() ?? 500 });
      },
    });

    const { id } = await triggerRun({ page: 7 });
    await expect.poll(async () => (await api.getV1RunsByRunID({ pathParams: { runID: id } })).attempt).toBe(2);
    strait.advance("1m");
    const run = await client.waitUntil({ id });

    expect(seen).toEqual(["1", "2"]);
    expect(run).toMatchObject({ status: "completed", result: { page: 7 } });
  });

  test("runs workflows: an answer starts what depends on it (ST-04)", async () => {
    const { api } = await givenServer({ executor: async (request) => Response.json(await request.json()) });
    const gate = { step_ref: "gate", type: "wait_for_event", event_key: "deploy:{{payload.release}}" } as const;
    const steps = [gate, { step_ref: "deploy", job_id: "review", depends_on: ["gate"] }];
    await api.postV1Workflows({ body: { name: "Deploy", slug: "deploy", steps } });
    const started = await api.postV1WorkflowsByWorkflowIDTrigger({
      pathParams: { workflowID: "deploy" },
      body: { payload: { release: 3 } },
    });

    await api.postV1EventsByEventKeySend({ pathParams: { eventKey: "deploy:3" }, body: { payload: "go" } });

    const pathParams = { workflowRunID: started.id };
    const read = () => api.getV1WorkflowRunsByWorkflowRunID({ pathParams });
    await expect.poll(async () => (await read()).status).toBe("completed");
    const { data } = await api.getV1WorkflowRunsByWorkflowRunIDSteps({ pathParams });
    expect(data.map(({ step_ref, status }) => [step_ref, status])).toEqual([
      ["gate", "completed"],
      ["deploy", "completed"],
    ]);
  });

  test("keeps what is changed of jobs and workflows, and forgets what is deleted", async () => {
    const { api, givenRun } = await givenServer();
    await api.postV1Jobs({ body: { name: "Other", slug: "other", endpoint_url: "https://app.test/other" } });
    await api.postV1Workflows({ body: { name: "Gate", slug: "gate" } });
    const steps = [{ step_ref: "a", type: "sleep", sleep_duration_secs: 60 }] as const;
    const jobID = { pathParams: { jobID: "review" } };
    const workflowID = { pathParams: { workflowID: "gate" } };

    await api.patchV1JobsByJobID({ ...jobID, body: { timeout_secs: 60, enabled: false } });
    await api.patchV1WorkflowsByWorkflowID({ ...workflowID, body: { description: "A gate", steps: [...steps] } });
    const [job, workflow] = [await api.getV1JobsByJobID(jobID), await api.getV1WorkflowsByWorkflowID(workflowID)];
    const refusals = await Promise.all([
      codeOf(api.postV1JobsByJobIDTrigger(jobID)),
      codeOf(api.patchV1JobsByJobID({ ...jobID, body: { slug: "other" } })),
    ]);
    await api.patchV1JobsByJobID({ ...jobID, body: { enabled: true } });
    const run = await givenRun();
    const started = await api.postV1WorkflowsByWorkflowIDTrigger(workflowID);
    const inUse = [
      await codeOf(api.deleteV1JobsByJobID(jobID)),
      await codeOf(api.deleteV1WorkflowsByWorkflowID(workflowID)),
    ];
    await api.deleteV1RunsByRunID({ pathParams: { runID: run.id } });
    await api.deleteV1WorkflowRunsByWorkflowRunID({ pathParams: { workflowRunID: started.id } });
    await api.deleteV1JobsByJobID(jobID);
    await api.deleteV1WorkflowsByWorkflowID(workflowID);

    expect(job).toMatchObject({ timeout_secs: 60, enabled: false, version: 2, name: "Review" });
    expect(workflow).toMatchObject({ description: "A gate", version: 2, steps: [{ step_ref: "a" }] });
    expect([...refusals, ...inUse]).toEqual(["conflict", "conflict", "conflict", "conflict"]);
    expect(await codeOf(api.getV1JobsByJobID(jobID))).toBe("not_found");
    expect(await codeOf(api.getV1WorkflowsByWorkflowID(workflowID))).toBe("not_found");
    expect((await api.getV1Jobs()).data.map(({ slug }) => slug)).toEqual(["other"]);
  });

  test("refuses a schema and a filter that do not compile wherever they are given, and stores nothing of it", async () => {
    const { api } = await givenServer();
    const payload_schema = { type: "text" };
    const gate = { step_ref: "gate", type: "wait_for_event", event_key: "k" } as const;
    const steps = [gate, { ...gate, step_ref: "other", event_key: "l", payload_schema, filter: "payload." }];
    const created = { name: "Another", slug: "another" };
    await api.postV1Workflows({ body: { name: "Gated", slug: "gated", steps: [gate] } });

    const refused = await Promise.all(
      [
        api.postV1Jobs({ body: { ...created, endpoint_url: "https://app.test/another", payload_schema } }),
        api.patchV1JobsByJobID({ pathParams: { jobID: "review" }, body: { payload_schema } }),
        api.postV1Workflows({ body: { ...created, steps } }),
        api.patchV1WorkflowsByWorkflowID({ pathParams: { workflowID: "gated" }, body: { steps } }),
      ].map((call) => call.catch(({ body }) => body.error)),
    );

    const issuesAt = (...fields: string[]) => ({
      code: "validation_error",
      details: { issues: fields.map((field) => expect.objectContaining({ field })) },
    });
    const inJob = issuesAt("/payload_schema");
    const inSteps = issuesAt("/steps/1/payload_schema", "/steps/1/filter");
    expect(refused).toMatchObject([inJob, inJob, inSteps, inSteps]);
    const stored = [await api.getV1Jobs(), await api.getV1Workflows()];
    expect(stored.map(({ data }) => data.map(({ slug, version }) => [slug, version]))).toEqual([
      [["review", 1]],
      [["gated", 1]],
    ]);
  });

  test("starts many runs at once, all or none, and one for each key", async () => {
    const { api } = await givenServer();
    const bulk = (...items: { payload: JsonValue; idempotency_key?: string }[]) =>
      api.postV1JobsByJobIDTriggerBulk({ pathParams: { jobID: "review" }, body: { items } });

    const made = await bulk({ payload: 1 }, { payload: 2, idempotency_key: "k" }, { payload: 2, idempotency_key: "k" });
    const refused = await codeOf(bulk({ payload: 3 }, { payload: 4, idempotency_key: "k" }));

    expect(made).toMatchObject({ total: 3, created: 2 });
    expect(made.results.map(({ idempotency_hit }) => idempotency_hit)).toEqual([false, false, true]);
    expect(made.results[1]?.id).toBe(made.results[2]?.id);
    expect(refused).toBe("idempotency_mismatch");
    const { data } = await api.getV1Runs({ query: { batch_id: made.batch_id } });
    expect(data.map(({ id }) => id)).toEqual([made.results[1]?.id, made.results[0]?.id]);
    expect((await api.getV1Runs()).data).toHaveLength(2);
  });

  test("starts the run that a message is for, once, and hands it over once (GR-01, GR-02)", async () => {
    const { strait, api } = await givenServer({ apiKeys: { strait_test: ["*"], strait_sender: ["events:write"] } });
    const start_if_missing = { job_id: "review", payload: { document: 7 } };
    const chat = { pathParams: { runID: "document-7", name: "chat" } };
    const body = { payload: "hello", start_if_missing };
    const sender = createClient({
      baseUrl,
      auth: { type: "bearer", token: "strait_sender" },
      fetch: strait.fetch,
      retries: 0,
    }).operationsPromise;

    const first = await api.postV1RunsByRunIDInboxByName({ ...chat, body, idempotencyKey: "once" });
    const again = await api.postV1RunsByRunIDInboxByName({ ...chat, body, idempotencyKey: "once" });
    const runID = first.run_id;
    const named = { pathParams: { runID, name: "chat" } };
    const repeated = await api.postV1RunsByRunIDInboxByName({ ...named, body: { payload: 2 }, idempotencyKey: "two" });
    const refusals = [
      await codeOf(api.postV1RunsByRunIDInboxByName({ ...named, body: { payload: 3 }, idempotencyKey: "two" })),
      await codeOf(sender.postV1RunsByRunIDInboxByName({ ...chat, body })),
      await codeOf(api.postV1RunsByRunIDInboxByName(chat)),
    ];
    const token = `mock.run.${runID}.1`;
    const code = createClient({ baseUrl, auth: { type: "runToken", token }, fetch: strait.fetch, retries: 0 });
    const receive = { pathParams: { runID }, body: { max: 10 } };
    const received = await code.operationsPromise.postSdkV1RunsByRunIDInboxReceive(receive);
    const unread = await api.getV1RunsByRunIDInbox({ pathParams: { runID }, query: { unread: true } });
    const waiting = await code.operationsPromise.postSdkV1RunsByRunIDInboxReceive(receive);
    await api.deleteV1RunsByRunID({ pathParams: { runID } });
    const late = await codeOf(api.postV1RunsByRunIDInboxByName(named));

    expect(again).toEqual(first);
    expect((await api.getV1RunsByRunID({ pathParams: { runID } })).payload).toEqual({ document: 7 });
    expect([first.sequence, repeated.sequence]).toEqual([1, 2]);
    expect(refusals).toEqual(["idempotency_mismatch", "forbidden", "not_found"]);
    expect(received).toMatchObject({
      status: "received",
      messages: [{ payload: "hello" }, { payload: 2 }],
      trigger: null,
    });
    expect(unread.data).toEqual([]);
    expect(waiting).toMatchObject({ status: "waiting", messages: [], trigger: { trigger_type: "inbox" } });
    expect(late).toBe("run_closed");
    const { data } = await api.getV1RunsByRunIDInbox({ pathParams: { runID } });
    expect(data.map(({ disposition }) => disposition)).toEqual(["buffered", "buffered", "late"]);
  });

  test("answers HEAD as GET, and leaves no stream open for it", async () => {
    const { strait, triggerRun } = await givenServer();
    const { id } = await triggerRun();
    const head = async (path: string) => {
      const response = await strait.fetch(`${baseUrl}${path}`, { method: "HEAD", headers });
      return [response.status, response.headers.get("content-type"), await response.text()];
    };

    expect(await head(`/v1/runs/${id}`)).toEqual([200, "application/json", ""]);
    expect(await head(`/v1/runs/${id}/stream`)).toEqual([200, "text/event-stream", ""]);
    expect(await head("/v1/runs/nobody")).toEqual([404, "application/json", ""]);
    expect(await head("/v1/runs/nobody/stream")).toEqual([404, "application/json", ""]);
    expect(await head("/v1/nothing")).toEqual([404, "application/json", ""]);
  });

  test("refuses what an override says, as often as it says so, and goes on with its state", async () => {
    const { strait, api } = await givenServer();
    const send = () => api.postV1EventsByEventKeySend({ pathParams: { eventKey: "k" } });
    strait.use({
      postV1EventsByEventKeySend: inTurn(failure("rate_limited", { details: { retry_after_secs: 2 } }), 503),
    });

    const refusals = [await send().catch((error) => error), await send().catch((error) => error)];
    const sent = await send();

    expect(refusals.map((error) => isStraitError(error) && error._tag)).toEqual(["RateLimitedError", "ServerError"]);
    expect(refusals[0]).toMatchObject({ status: 429, retryAfterMs: 2_000 });
    expect(sent.status).toBe("buffered");
  });

  test("knows the keys that it is given, and what they are for", async () => {
    const strait = createMockServer({ baseUrl, apiKeys: { strait_reader: ["events:read"] } });
    onTestFinished(() => strait.close());
    const ask = (key: string, path: string) =>
      strait.fetch(baseUrl + path, { headers: { authorization: `Bearer ${key}` } }).then(({ status }) => status);

    expect(await ask("strait_reader", "/v1/events")).toBe(200);
    expect(await ask("strait_reader", "/v1/runs")).toBe(403);
    expect(await ask("strait_other", "/v1/events")).toBe(401);
  });

  test("forgets everything at a reset, and breaks its streams off", async () => {
    const { strait, api, givenRun } = await givenServer();
    await (await givenRun()).wait("review:7");
    const stream = await strait.fetch(`${baseUrl}/v1/events/review:7/stream`, { headers });
    strait.use({ getV1Events: 500 });

    strait.reset();

    await expect(stream.text()).rejects.toThrow("closed");
    expect(await api.getV1Events()).toMatchObject({ data: [] });
  });

  test("stands behind fetch through msw, with 401 and 404 where the server has them", async () => {
    const { strait } = await givenServer();
    const interceptor = setupServer(...strait.handlers);
    interceptor.listen();
    onTestFinished(() => interceptor.close());

    const statuses = await Promise.all([
      fetch(`${baseUrl}/v1/events`, { headers }).then(({ status }) => status),
      fetch(`${baseUrl}/v1/events/k/stream`).then(({ status }) => status),
      fetch(`${baseUrl}/v1/nothing`, { headers }).then(({ status }) => status),
    ]);

    expect(statuses).toEqual([200, 401, 404]);
  });

  test("stops waiting for an answer when the caller aborts", async () => {
    const { strait } = await givenServer();
    strait.use({ getV1Events: () => new Promise<Response>(() => {}) });
    const caller = new AbortController();

    const asked = strait.fetch(`${baseUrl}/v1/events`, { headers, signal: caller.signal });
    caller.abort(new Error("gave up"));

    await expect(asked).rejects.toThrow("gave up");
  });
});

describe("a path", () => {
  const headers = { authorization: "Bearer strait_test" };

  test("is another one with a slash behind it", async () => {
    const strait = createMockServer({ baseUrl });
    onTestFinished(() => strait.close());

    const answers = await Promise.all(
      ["/v1/jobs", "/v1/jobs/"].map((path) => strait.fetch(`${baseUrl}${path}`, { headers })),
    );

    expect(answers.map(({ status }) => status)).toEqual([200, 404]);
  });

  test("is found below a base that has escapes", async () => {
    const below = `${baseUrl}/a%20b`;
    const strait = createMockServer({ baseUrl: below });
    onTestFinished(() => strait.close());

    const answer = await strait.fetch(`${below}/v1/events/100%25`, { headers });

    expect(await answer.json()).toMatchObject({ error: { details: { id: "100%" } } });
  });
});
