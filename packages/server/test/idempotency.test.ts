import { examples, type OperationId, operations } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { contentsOf } from "./contents.ts";
import { type ExampleWorld, examplePath, operationIds, startExampleWorld } from "./example-world.ts";
import type { Answer, RequestOptions } from "./server.ts";

const TRIGGER = "postV1JobsByJobIDTrigger";
const SEND = "postV1EventsByEventKeySend";
const posts = operationIds.filter((id) => operations[id].idempotent);
/** These keep no answers: a trigger answers with the run that its key has, a send with what was written beside the event. */
const storing = posts.filter((id) => id !== TRIGGER && id !== SEND);

const keyed = (key: string): RequestOptions => ({ headers: { "idempotency-key": key } });

/** Sends an operation's example with the caller's credentials. */
function post(world: ExampleWorld, id: OperationId, options: RequestOptions): Promise<Answer> {
  const { body } = examples[id].request;
  const credentials = world.credentialsOf(id);
  return world.request("POST", examplePath(id), {
    ...(body === undefined ? {} : { body }),
    ...credentials,
    ...options,
    headers: { ...credentials.headers, ...options.headers },
  });
}

/** The example with something else in it. */
const another = (id: OperationId): unknown => {
  const { body } = examples[id].request;
  return { ...(body as object), ...OTHERS[id] };
};
const OTHERS: Partial<Record<OperationId, object>> = {
  postSdkV1RunsByRunIDAnnotate: { annotations: { other: "1" } },
  postSdkV1RunsByRunIDCheckpoint: { state: "another" },
  postSdkV1RunsByRunIDComplete: { result: "another" },
  postSdkV1RunsByRunIDFail: { error: "another" },
  postSdkV1RunsByRunIDLog: { message: "another" },
  postSdkV1RunsByRunIDOutput: { value: "another" },
  postSdkV1RunsByRunIDProgress: { percent: 99 },
  postSdkV1RunsByRunIDState: { value: "another" },
  postSdkV1RunsByRunIDWaitForEvent: { event_key: "another" },
  postV1ApiKeys: { name: "Another" },
  postV1ApiKeysByKeyIDRotate: { grace_period_minutes: 1 },
  postV1EventsByEventKeySend: { payload: "another" },
  postV1Jobs: { name: "Another" },
  postV1JobsByJobIDTrigger: { payload: "another" },
  postV1JobsByJobIDTriggerBulk: { items: [{ payload: "another" }] },
  postV1Projects: { name: "Another" },
  postV1Workflows: { name: "Another" },
  postV1WorkflowsByWorkflowIDDryRun: { steps: [] },
  postV1WorkflowsByWorkflowIDTrigger: { payload: "another" },
};

describe("a repeat with the same Idempotency-Key", () => {
  test.each([...storing, SEND] as const)("gets the stored answer of %s, and has no effect", async (id) => {
    const world = await startExampleWorld();
    const first = await post(world, id, keyed("k"));
    const before = await contentsOf(world.db);

    const repeat = await post(world, id, keyed("k"));

    expect(operations[id].success).toContain(first.status);
    expect([repeat.status, repeat.body]).toEqual([first.status, first.body]);
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(repeat.headers.get("idempotency-replayed")).toBe("true");
    expect(repeat.headers.get("x-request-id")).not.toBe(first.headers.get("x-request-id"));
    expect(await contentsOf(world.db)).toEqual(before);
  });

  test.each(Object.keys(OTHERS) as OperationId[])("and another body for %s is 422, and has no effect", async (id) => {
    const world = await startExampleWorld();
    await post(world, id, keyed("k"));
    const before = await contentsOf(world.db);

    const { status, body } = await post(world, id, { ...keyed("k"), body: another(id) });

    expect([status, body.error]).toMatchObject([
      422,
      { code: "idempotency_mismatch", details: { idempotency_key: "k" } },
    ]);
    expect(await contentsOf(world.db)).toEqual(before);
  });

  test("of a trigger gets 200 with the run that the key has, and no token", async () => {
    const world = await startExampleWorld();
    const first = await post(world, TRIGGER, keyed("k"));
    const before = await contentsOf(world.db);

    const repeat = await post(world, TRIGGER, keyed("k"));

    expect([first.status, first.body.idempotency_hit]).toEqual([201, false]);
    expect(repeat.status).toBe(200);
    expect(repeat.headers.get("idempotency-replayed")).toBe("true");
    expect(repeat.body).toEqual({ ...first.body, idempotency_hit: true, run_token: null });
    expect(await contentsOf(world.db)).toEqual(before);
  });

  test("is one request, whichever of the two headers has the key", async () => {
    const world = await startExampleWorld();
    const first = await post(world, "postV1Jobs", { headers: { "x-idempotency-key": "k" } });

    const repeat = await post(world, "postV1Jobs", keyed("k"));
    const both = await post(world, "postV1Jobs", { headers: { "x-idempotency-key": "k", "idempotency-key": "k" } });

    expect([repeat.body, both.body]).toEqual([first.body, first.body]);
  });

  test("may have a key of 256 characters, which counts as a whole", async () => {
    const world = await startExampleWorld();
    const stem = "k".repeat(255);
    const first = await post(world, "postV1ApiKeys", keyed(`${stem}a`));

    const repeat = await post(world, "postV1ApiKeys", keyed(`${stem}a`));
    const other = await post(world, "postV1ApiKeys", keyed(`${stem}b`));

    expect(repeat.body.id).toBe(first.body.id);
    expect([other.status, other.body.id === first.body.id]).toEqual([201, false]);
  });

  test("is a new request after a day", async () => {
    const world = await startExampleWorld();
    const first = await post(world, "postV1ApiKeys", keyed("k"));

    await world.advance(24 * 3_600_000 - 1_000);
    const inTime = await post(world, "postV1ApiKeys", keyed("k"));
    await world.advance(1_000);
    const later = await post(world, "postV1ApiKeys", keyed("k"));

    expect(inTime.body.id).toBe(first.body.id);
    expect([later.status, later.body.id === first.body.id]).toEqual([201, false]);
  });
});

describe("two requests at the same time with one key", () => {
  const together = (world: ExampleWorld, id: OperationId, options = keyed("k")) =>
    Promise.all([post(world, id, options), post(world, id, options), post(world, id, options)]);

  test.each(["postV1ApiKeys", "postV1Jobs", "postV1WorkflowsByWorkflowIDTrigger", SEND] as const)(
    "take effect once: %s",
    async (id) => {
      const world = await startExampleWorld();

      const answers = await together(world, id);

      expect(answers.map(({ headers }) => headers.get("idempotency-replayed")).toSorted()).toEqual([
        null,
        "true",
        "true",
      ]);
      expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body])))).toHaveProperty("size", 1);
    },
  );

  test("make one run", async () => {
    const world = await startExampleWorld();

    const answers = await together(world, TRIGGER);

    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 201]);
    expect(new Set(answers.map(({ body }) => body.id))).toHaveProperty("size", 1);
    const [count] = await world.db.query<{ runs: number }>(sql`
      SELECT count(*)::int AS runs FROM runs WHERE idempotency_key = 'k'`);
    expect(count).toEqual({ runs: 1 });
  });

  test("and different bodies end with one effect and refusals", async () => {
    const world = await startExampleWorld();

    const answers = await Promise.all(
      [1, 2, 3].map((n) => post(world, SEND, { ...keyed("k"), body: { payload: { n } } })),
    );

    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 422, 422]);
  });
});

describe("a key", () => {
  test.each([
    ["postV1Jobs", { name: "Job", slug: "create-account", endpoint_url: "https://executor.example.com" }, 409],
    ["postV1Workflows", { name: "W", slug: "w", steps: [{ step_ref: "a", job_id: "nobody" }] }, 400],
    [SEND, { generation: 7, if_no_waiter: "fail" }, 409],
  ] as const)("is free again after %s was refused", async (id, refused, status) => {
    const world = await startExampleWorld();

    const refusal = await post(world, id, { ...keyed("k"), body: refused });
    const second = await post(world, id, keyed("k"));

    expect(refusal.status).toBe(status);
    expect(operations[id].success).toContain(second.status);
    expect(second.headers.get("idempotency-replayed")).toBeNull();
  });

  test("belongs to one operation on one object", async () => {
    const world = await startExampleWorld();
    const trigger = (job: string) => world.request("POST", `/v1/jobs/${job}/trigger`, keyed("k"));

    const [one, two] = [await trigger("collect-user-data"), await trigger("create-account")];
    const [key, job] = [await post(world, "postV1ApiKeys", keyed("k")), await post(world, "postV1Jobs", keyed("k"))];
    const sends = ["a", "b"].map((name) => world.request("POST", `/v1/events/${name}/send`, keyed("k")));
    const [a, b] = await Promise.all(sends);

    expect([one.status, two.status, key.status, job.status]).toEqual([201, 201, 201, 201]);
    expect(two.body.id).not.toBe(one.body.id);
    expect([a?.body.event_key, b?.body.event_key]).toEqual(["a", "b"]);
  });

  test("belongs to one project", async () => {
    const world = await startExampleWorld();
    const stranger = await world.anotherProject();
    const body = { name: "Job", slug: "job", endpoint_url: "https://executor.example.com" };
    const asStranger = { ...keyed("k"), token: stranger.apiKey };

    const mine = await world.request("POST", "/v1/jobs", { ...keyed("k"), body });
    const theirs = await world.request("POST", "/v1/jobs", { ...asStranger, body });
    const myRun = await world.request("POST", "/v1/jobs/job/trigger", keyed("k"));
    const theirRun = await world.request("POST", "/v1/jobs/job/trigger", asStranger);
    const mySend = await world.request("POST", "/v1/events/key/send", keyed("k"));
    const theirSend = await world.request("POST", "/v1/events/key/send", asStranger);

    expect([mine.body.project_id, theirs.body.project_id]).toEqual([world.projectId, stranger.projectId]);
    expect([myRun.status, theirRun.status]).toEqual([201, 201]);
    expect([mySend.status, theirSend.status]).toEqual([202, 202]);
    expect(theirSend.body.id).not.toBe(mySend.body.id);
  });

  test("that is empty, too long, or given twice in different words is 400 on every operation", async () => {
    const world = await startExampleWorld();
    const before = await contentsOf(world.db);
    const headers: [Record<string, string>, string][] = [
      [{ "idempotency-key": "" }, "minLength"],
      [{ "x-idempotency-key": "" }, "minLength"],
      [{ "idempotency-key": "k".repeat(257) }, "maxLength"],
      [{ "x-idempotency-key": "k".repeat(257) }, "maxLength"],
      [{ "idempotency-key": "a", "x-idempotency-key": "b" }, "sameKey"],
    ];

    for (const id of posts) {
      for (const [given, rule] of headers) {
        const { status, body } = await post(world, id, { headers: given });
        expect.soft([status, body.error.code], `${id} ${JSON.stringify(given)}`).toEqual([400, "validation_error"]);
        expect.soft(body.error.details.issues[0].rule).toBe(rule);
        expect.soft(body.error.details.issues[0].field).toMatch(/^\/headers\/(X-)?Idempotency-Key$/);
      }
    }

    expect(await contentsOf(world.db)).toEqual(before);
  });
});

test("an answer that holds a secret is not stored in clear", async () => {
  const world = await startExampleWorld();

  const created = await post(world, "postV1ApiKeys", keyed("k"));
  const rotated = await post(world, "postV1ApiKeysByKeyIDRotate", keyed("k"));
  const batch = await post(world, "postV1JobsByJobIDTriggerBulk", keyed("k"));

  const rows = await world.db.query<{ response: string }>(sql`SELECT response FROM idempotency_keys`);
  expect(rows).toHaveLength(3);
  const stored = rows.map(({ response }) => response + Buffer.from(response, "base64").toString()).join();
  for (const secret of [created.body.key, rotated.body.key, batch.body.results[0].run_token]) {
    expect(secret).toMatch(/.{32}/);
    expect(stored).not.toContain(secret.slice(7, 39));
  }
});
