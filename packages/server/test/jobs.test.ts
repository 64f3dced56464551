import { describe, expect, test } from "vitest";
import { startServer, type TestServer } from "./server.ts";

const job = { name: "Resize", slug: "resize", endpoint_url: "https://executor.example.com/resize" };
const HOUR = 3_600_000;

/** Nothing is dispatched: what is triggered stays as it was made. */
const startApi = (env: Record<string, string> = {}) => startServer({ env: { MODE: "api", ...env }, runsEngine: false });

async function createJob(strait: TestServer, fields: object = {}) {
  const { status, body } = await strait.request("POST", "/v1/jobs", { body: { ...job, ...fields } });
  expect(status).toBe(201);
  return body;
}
const trigger = (strait: TestServer, body: object = {}) => strait.request("POST", "/v1/jobs/resize/trigger", { body });
const countOf = async (strait: TestServer) => (await strait.request("GET", "/v1/runs")).body.data.length;

describe("a job", () => {
  test("has defaults, and is found by its id and its slug", async () => {
    const strait = await startApi();

    const created = await createJob(strait);
    const [byId, bySlug] = [`/v1/jobs/${created.id}`, "/v1/jobs/resize"].map((path) => strait.request("GET", path));

    expect(created).toMatchObject({
      ...job,
      project_id: strait.projectId,
      description: null,
      max_attempts: 3,
      timeout_secs: 300,
      run_ttl_secs: null,
      retry_strategy: "exponential",
      retry_delays_secs: [],
      tags: {},
      on_worker_lost: "retry",
      enabled: true,
      version: 1,
    });
    expect((await byId)?.body).toEqual(created);
    expect((await bySlug)?.body).toEqual(created);
    expect((await strait.request("GET", "/v1/jobs")).body.data).toEqual([created]);
  });

  test("is changed field by field, and counts its versions", async () => {
    const strait = await startApi();
    const created = await createJob(strait, { description: "Old", tags: { a: "1" }, run_ttl_secs: 60 });

    const changes = { description: null, run_ttl_secs: null, timeout_secs: 60 };
    const { status, body } = await strait.request("PATCH", "/v1/jobs/resize", { body: changes });

    expect(status).toBe(200);
    expect(body).toEqual({ ...created, ...changes, version: 2, updated_at: expect.any(String) });
    expect(body.updated_at > created.updated_at).toBe(true);
  });

  test("loses no change when several arrive together", async () => {
    const strait = await startApi();
    await createJob(strait);

    const changes = [{ name: "New" }, { max_attempts: 9 }, { timeout_secs: 9 }, { description: "New" }];
    await Promise.all(changes.map((body) => strait.request("PATCH", "/v1/jobs/resize", { body })));

    const { body } = await strait.request("GET", "/v1/jobs/resize");
    expect(body).toMatchObject({ ...Object.assign({}, ...changes), version: 5 });
  });

  test("has a slug of its own in its project, which is free again once it is deleted", async () => {
    const strait = await startApi();
    const { id } = await createJob(strait);
    await createJob(strait, { slug: "other" });

    const second = await strait.request("POST", "/v1/jobs", { body: job });
    const renamed = await strait.request("PATCH", "/v1/jobs/other", { body: { slug: "resize" } });
    const deleted = await strait.request("DELETE", `/v1/jobs/${id}`);
    const again = await strait.request("DELETE", `/v1/jobs/${id}`);
    const third = await strait.request("POST", "/v1/jobs", { body: job });

    expect([second.status, renamed.status]).toEqual([409, 409]);
    expect(second.body.error).toMatchObject({ code: "conflict", message: expect.stringContaining('"resize"') });
    expect([deleted.status, again.status, third.status]).toEqual([204, 404, 201]);
  });

  test("is not deleted under runs that live, and its finished runs stay", async () => {
    const strait = await startApi();
    await createJob(strait);
    const { body: run } = await trigger(strait);

    const early = await strait.request("DELETE", "/v1/jobs/resize");
    await strait.request("DELETE", `/v1/runs/${run.id}`);
    const late = await strait.request("DELETE", "/v1/jobs/resize");

    expect([early.status, early.body.error.code, late.status]).toEqual([409, "conflict", 204]);
    expect((await strait.request("GET", `/v1/runs/${run.id}`)).body.status).toBe("canceled");
    expect((await trigger(strait)).status).toBe(404);
  });

  test.each([
    "http://127.0.0.1:9000/x",
    "http://localhost/x",
    "http://10.0.0.1/x",
    "http://169.254.169.254/latest/meta-data",
    "http://[::1]/x",
    "http://[::ffff:10.0.0.1]/x",
    "http://2130706433/x",
    "http://0x7f.1/x",
    "http://metadata.google.internal/x",
  ])("does not call %s unless the operator allows private addresses", async (endpoint_url) => {
    const strait = await startApi({ STRAIT_ALLOW_PRIVATE_ENDPOINTS: "false" });

    const { status, body } = await strait.request("POST", "/v1/jobs", { body: { ...job, endpoint_url } });

    expect(status).toBe(400);
    expect(body.error.details.issues).toMatchObject([{ field: "/endpoint_url", rule: "publicAddress" }]);
  });

  test("of another project does not exist", async () => {
    const strait = await startApi();
    const { id } = await createJob(strait);
    const { apiKey: token } = await strait.anotherProject();

    const answers = [
      await strait.request("GET", `/v1/jobs/${id}`, { token }),
      await strait.request("PATCH", `/v1/jobs/${id}`, { token, body: { name: "Mine" } }),
      await strait.request("DELETE", `/v1/jobs/${id}`, { token }),
      await strait.request("POST", `/v1/jobs/${id}/trigger`, { token }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect((await strait.request("POST", "/v1/jobs", { token, body: job })).status).toBe(201);
  });
});

describe("triggering a job", () => {
  test("makes a run with the job's tags and metadata under its own", async () => {
    const strait = await startApi();
    await createJob(strait, { tags: { a: "job", b: "job" }, default_run_metadata: { m: "1" }, max_attempts: 7 });

    const { status, body } = await trigger(strait, { payload: [1], tags: { b: "run" }, priority: 9, ttl_secs: 60 });

    expect(status).toBe(201);
    expect(body).toMatchObject({ status: "queued", idempotency_hit: false, run_token: expect.any(String) });
    const { body: run } = await strait.request("GET", `/v1/runs/${body.id}`);
    expect(run).toMatchObject({ payload: [1], tags: { a: "job", b: "run" }, metadata: { m: "1" }, priority: 9 });
    expect(run).toMatchObject({ max_attempts: 7, job_version: 1, triggered_by: "manual" });
    expect(Date.parse(run.expires_at) - Date.parse(run.created_at)).toBe(60_000);
  });

  test("without a body is enough", async () => {
    const strait = await startApi();
    await createJob(strait);

    const { status, body } = await strait.request("POST", "/v1/jobs/resize/trigger");

    expect(status).toBe(201);
    expect((await strait.request("GET", `/v1/runs/${body.id}`)).body.payload).toBeNull();
  });

  test("for later delays the run until then; for earlier does not", async () => {
    const strait = await startApi();
    await createJob(strait);
    const at = (ms: number) => new Date(Date.now() + ms).toISOString();

    const later = await trigger(strait, { scheduled_at: at(HOUR) });
    const earlier = await trigger(strait, { scheduled_at: at(-HOUR) });
    await strait.advance(HOUR);

    expect([later.body.status, earlier.body.status]).toEqual(["delayed", "queued"]);
    expect((await strait.request("GET", `/v1/runs/${later.body.id}`)).body.status).toBe("queued");
  });

  test("as a dry run tells what would be, and makes nothing", async () => {
    const strait = await startApi();
    const { id } = await createJob(strait, { payload_schema: { type: "object" } });

    const dry = await trigger(strait, { payload: { a: 1 }, dry_run: true });
    const broken = await trigger(strait, { payload: 1, dry_run: true });
    const real = await trigger(strait, { payload: { a: 1 } });

    expect([dry.status, broken.status]).toEqual([200, 422]);
    expect(dry.body).toMatchObject({ dry_run: true, job_id: id, payload: { a: 1 }, scheduled_at: null });
    expect(dry.body.payload_hash).toBe(real.body.payload_hash);
    expect(await countOf(strait)).toBe(1);
  });

  test("is refused while the job is disabled, or when the payload breaks its schema", async () => {
    const strait = await startApi();
    const schema = { type: "object", required: ["user_id"], properties: { user_id: { type: "string" } } };
    await createJob(strait, { payload_schema: schema });

    const mismatch = await trigger(strait, { payload: { user_id: 1 } });
    const missing = await trigger(strait, { payload: {} });
    await strait.request("PATCH", "/v1/jobs/resize", { body: { enabled: false } });
    const disabled = await trigger(strait, { payload: { user_id: "u" } });

    expect([mismatch.status, mismatch.body.error.code]).toEqual([422, "payload_mismatch"]);
    expect(mismatch.body.error.details.issues).toMatchObject([{ field: "/payload/user_id", rule: "type" }]);
    expect(missing.body.error.details.issues).toMatchObject([{ field: "/payload/user_id", rule: "required" }]);
    expect([disabled.status, disabled.body.error.code]).toEqual([409, "conflict"]);
    expect(await countOf(strait)).toBe(0);
  });
});

describe("triggering in bulk", () => {
  const bulk = (strait: TestServer, items: object[]) =>
    strait.request("POST", "/v1/jobs/resize/trigger/bulk", { body: { items } });

  test("makes one run for each of 500 items, and the batch finds them", async () => {
    const strait = await startApi();
    await createJob(strait);

    const { status, body } = await bulk(
      strait,
      Array.from({ length: 500 }, (_, n) => ({ payload: { n } })),
    );

    expect([status, body.total, body.created, body.results.length]).toEqual([201, 500, 500, 500]);
    const last = await strait.request("GET", `/v1/runs/${body.results[499].id}`);
    expect(last.body).toMatchObject({ batch_id: body.batch_id, payload: { n: 499 } });
    const page = await strait.request("GET", `/v1/runs?batch_id=${body.batch_id}&limit=100`);
    expect([page.body.data.length, page.body.has_more]).toEqual([100, true]);
  });

  test("is all or nothing", async () => {
    const strait = await startApi();
    await createJob(strait, { payload_schema: { type: "object" } });

    const tooMany = await bulk(
      strait,
      Array.from({ length: 501 }, () => ({})),
    );
    const oneBad = await bulk(strait, [{ payload: {} }, { payload: 1 }]);
    await bulk(strait, [{ payload: {}, idempotency_key: "k" }]);
    const mismatch = await bulk(strait, [{ payload: {} }, { payload: { a: 1 }, idempotency_key: "k" }]);

    expect([tooMany.status, oneBad.status, mismatch.status]).toEqual([400, 422, 422]);
    expect(oneBad.body.error.details.issues).toMatchObject([{ field: "/items/1/payload" }]);
    expect(mismatch.body.error.code).toBe("idempotency_mismatch");
    expect(await countOf(strait)).toBe(1);
  });

  test("gives items with one key one run, also one that was there before", async () => {
    const strait = await startApi();
    await createJob(strait);
    const { body: before } = await bulk(strait, [{ idempotency_key: "old" }]);

    const { status, body } = await bulk(strait, [
      { idempotency_key: "old" },
      { idempotency_key: "new" },
      { idempotency_key: "new" },
      {},
    ]);

    const [old, first, twin, free] = body.results;
    expect([status, body.total, body.created]).toEqual([201, 4, 2]);
    expect(old).toMatchObject({ id: before.results[0].id, idempotency_hit: true, run_token: null });
    expect([first.idempotency_hit, twin.idempotency_hit, free.idempotency_hit]).toEqual([false, true, false]);
    expect([twin.id === first.id, free.id === first.id]).toEqual([true, false]);
    expect(await countOf(strait)).toBe(3);
  });
});
