import { type ErrorCode, type ErrorObject, type ErrorResponse, errorStatus, operations } from "@strait/contract";
import { expect, test } from "vitest";
import { contentsOf } from "./contents.ts";
import { type ExampleWorld, examplePath, operationIds, startExampleWorld } from "./example-world.ts";
import { type RequestOptions, startServer } from "./server.ts";

/** What is sent, and what the answer says about it. */
interface Refusal extends RequestOptions {
  readonly method: string;
  readonly path: string;
  /** `validation_error` by default. */
  readonly code?: ErrorCode;
  readonly field?: string;
  readonly rule?: string;
}

const get = (path: string, field: string, rule: string): Refusal => ({ method: "GET", path, field, rule });
const post = (path: string, body: unknown, field: string, rule: string): Refusal => ({
  method: "POST",
  path,
  text: typeof body === "string" ? body : JSON.stringify(body),
  field,
  rule,
});

/** Sends everything, and finds the same database as before. */
async function expectRefusals(world: ExampleWorld, refusals: readonly Refusal[]): Promise<void> {
  const before = await contentsOf(world.db);
  for (const { method, path, code = "validation_error", field, rule, ...options } of refusals) {
    const token = path.startsWith("/sdk") ? world.runToken : world.apiKey;
    const { status, body, headers } = await world.request(method, path, { token, ...options });
    const what = `${method} ${path} ${options.text ?? ""}`.slice(0, 200);
    expect.soft({ status, code: body.error.code }, what).toEqual({ status: errorStatus[code], code });
    expect.soft(body.request_id, what).toBe(headers.get("x-request-id"));
    if (field === undefined) continue;
    const issue = { field, rule, fix: expect.stringMatching(/\w/) };
    expect.soft(body.error.details.issues, what).toContainEqual(issue);
  }
  expect(await contentsOf(world.db)).toEqual(before);
}

const TRIGGER = "/v1/jobs/collect-user-data/trigger";
const BULK = `${TRIGGER}/bulk`;
const JOBS = "/v1/jobs";
const RUN = "/sdk/v1/runs/run_01k0000000e00800000000exec";
const WAIT = `${RUN}/wait-for-event`;
const job = { name: "Job", slug: "job", endpoint_url: "https://executor.example.com/job" };

test("a route that does not exist is 404, with and without credentials", async () => {
  const world = await startExampleWorld();

  await expectRefusals(world, [
    { method: "GET", path: "/", code: "not_found" },
    { method: "GET", path: "/v1/nothing", code: "not_found" },
    { method: "GET", path: "/v1/nothing", code: "not_found", token: null },
    { method: "PUT", path: "/v1/jobs/collect-user-data", code: "not_found" },
    { method: "GET", path: "/v1/jobs/", code: "not_found" },
    { method: "GET", path: "/v1/jobs/collect-user-data/x", code: "not_found" },
    { method: "POST", path: "/v1/events//send", code: "not_found", body: {} },
  ]);
});

test("a body that is not JSON, is of another type, or is not there is refused", async () => {
  const world = await startExampleWorld();
  const as = (type: string): Refusal => ({
    method: "POST",
    path: TRIGGER,
    text: "{}",
    headers: { "content-type": type },
    code: "unsupported_media_type",
  });

  await expectRefusals(world, [
    post(TRIGGER, '{"payload":', "", "json"),
    post(TRIGGER, "{}{}", "", "json"),
    post(TRIGGER, "{payload:1}", "", "json"),
    post(TRIGGER, '{"payload":NaN}', "", "json"),
    post(JOBS, " ", "", "json"),
    post(TRIGGER, [], "", "type"),
    post(TRIGGER, null, "", "type"),
    { method: "POST", path: JOBS, field: "", rule: "required" },
    as("text/plain"),
    as("application/x-www-form-urlencoded"),
    as("application/jsonl"),
  ]);
});

test("a body is limited to the byte, also when nobody announced its length", async () => {
  const strait = await startServer({ env: { MODE: "api", MAX_REQUEST_BODY_SIZE: "1024" }, runsEngine: false });
  const bodyOf = (bytes: number) => ({ text: `{"payload":"${"x".repeat(bytes - 14)}"}` });
  const before = await contentsOf(strait.db);
  let pulls = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulls++;
      controller.enqueue(Buffer.from(" ".repeat(512)));
    },
  });

  const exceeds = await strait.request("POST", "/v1/events/k/send", bodyOf(1025));
  const unannounced = await sendBytes(strait, endless);
  const unchanged = await contentsOf(strait.db);
  const fits = await strait.request("POST", "/v1/events/k/send", bodyOf(1024));

  expect([exceeds.status, exceeds.body.error.details]).toEqual([413, { what: "body", max_bytes: 1024 }]);
  expect(unannounced).toMatchObject([413, { code: "payload_too_large" }]);
  expect(pulls).toBeLessThan(10);
  expect(unchanged).toEqual(before);
  expect(fits.status).toBe(202);
});

test("a body that is not UTF-8 is refused, with and without Content-Length", async () => {
  const world = await startExampleWorld();
  const bytes = Buffer.concat([Buffer.from('{"payload":"'), Buffer.from([0xff, 0xc3]), Buffer.from('"}')]);
  const before = await contentsOf(world.db);

  const answers = [await sendBytes(world, bytes), await sendBytes(world, bytes, bytes.length)];

  const refused = [400, { code: "validation_error", details: { issues: [{ field: "", rule: "utf8" }] } }];
  expect(answers).toMatchObject([refused, refused]);
  expect(await contentsOf(world.db)).toEqual(before);
});

async function sendBytes(
  { server, apiKey }: Pick<ExampleWorld, "server" | "apiKey">,
  body: Uint8Array | ReadableStream<Uint8Array>,
  length?: number,
): Promise<[status: number, error: ErrorObject]> {
  const headers = new Headers({ authorization: `Bearer ${apiKey}`, "content-type": "application/json" });
  if (length !== undefined) headers.set("content-length", String(length));
  const init = { method: "POST", headers, body, duplex: "half" } as RequestInit;
  const response = await server.fetch(new Request("http://test/v1/events/k/send", init));
  const { error } = (await response.json()) as ErrorResponse;
  return [response.status, error];
}

test("a field that is missing, unknown, or of the wrong type is named, also inside others", async () => {
  const world = await startExampleWorld();
  const step = { step_ref: "a", job_id: "create-account" };

  await expectRefusals(world, [
    post(JOBS, { slug: "a" }, "/name", "required"),
    post(JOBS, { ...job, name: 1 }, "/name", "type"),
    post(JOBS, { ...job, slug: "A b" }, "/slug", "pattern"),
    post(JOBS, { ...job, retry_strategy: "never" }, "/retry_strategy", "enum"),
    post(JOBS, { ...job, endpoint_url: "ftp://x" }, "/endpoint_url", "pattern"),
    post(JOBS, { ...job, endpoint_url: "https://user:password@x" }, "/endpoint_url", "noCredentials"),
    post(JOBS, { ...job, project_id: "proj_x" }, "/project_id", "ownProject"),
    post(JOBS, { ...job, payload_schema: { type: 5 } }, "/payload_schema", "jsonSchema"),
    post(JOBS, { ...job, payload_schema: { $async: true } }, "/payload_schema", "jsonSchema"),
    post(TRIGGER, { priority: "5" }, "/priority", "type"),
    post(TRIGGER, { priority: 1.5 }, "/priority", "type"),
    post(TRIGGER, { priority: 11 }, "/priority", "maximum"),
    post(TRIGGER, { tags: null }, "/tags", "type"),
    post(TRIGGER, { tags: { a: 1 } }, "/tags/a", "type"),
    post(TRIGGER, { surprise: 1 }, "/surprise", "additionalProperties"),
    post(TRIGGER, { "a/b~c": 1 }, "/a~1b~0c", "additionalProperties"),
    post(TRIGGER, '{"__proto__":{}}', "/__proto__", "additionalProperties"),
    post(BULK, { items: [] }, "/items", "minItems"),
    post(BULK, { items: [{}, { surprise: 1 }] }, "/items/1/surprise", "additionalProperties"),
    post(
      "/v1/workflows",
      { name: "W", slug: "w", steps: [{ ...step, job: "b" }] },
      "/steps/0/job",
      "additionalProperties",
    ),
    post(`${RUN}/log`, { message: "m", lvl: "info" }, "/lvl", "additionalProperties"),
    post(WAIT, { event_key: "k", timeout_secs: 0 }, "/timeout_secs", "minimum"),
  ]);
});

const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

test("what PostgreSQL cannot hold is refused: U+0000, half characters, endless nesting, endless numbers", async () => {
  const world = await startExampleWorld();

  await expectRefusals(world, [
    post(TRIGGER, '{"payload":"a\\u0000"}', "/payload", "nulCharacter"),
    post(TRIGGER, '{"payload":{"a\\u0000":1}}', "/payload/a\u0000", "nulCharacter"),
    post(TRIGGER, '{"payload":[{"a":"\\u0000"}]}', "/payload/0/a", "nulCharacter"),
    post(TRIGGER, '{"tags":{"a":"\\u0000"}}', "/tags/a", "nulCharacter"),
    post(TRIGGER, '{"tags":{"\\u0000":"a"}}', "/tags/\u0000", "nulCharacter"),
    post(`${RUN}/log`, { message: "\0" }, "/message", "nulCharacter"),
    post(`${RUN}/state`, { key: "\0", value: 1 }, "/key", "nulCharacter"),
    get("/v1/events?prefix=a%00", "/query/prefix", "nulCharacter"),
    get("/v1/jobs?cursor=%00", "/query/cursor", "nulCharacter"),
    get("/v1/jobs/a%00", "/path/jobID", "pattern"),
    get(`${RUN}/state/a%00`, "/path/key", "pattern"),
    post(TRIGGER, '{"payload":"\\ud800"}', "/payload", "wellFormed"),
    post(TRIGGER, '{"payload":{"\\udc00":1}}', "/payload/\udc00", "wellFormed"),
    post(TRIGGER, `{"payload":${nested(512)}}`, `/payload${"/0".repeat(511)}`, "maxDepth"),
    post(TRIGGER, `{"payload":${nested(200_000)}}`, `/payload${"/0".repeat(511)}`, "maxDepth"),
    post(TRIGGER, '{"payload":[-1e400]}', "/payload/0", "finite"),
    post(TRIGGER, '{"priority":1e400}', "/priority", "finite"),
  ]);
});

test.each([
  "soon",
  "2026-01-01",
  "2026-02-30T00:00:00Z",
  "0000-01-01T00:00:00Z",
  "2026-01-01T00:00:00+16:00",
  "9999-12-31T23:59:59-10:00",
])("%s is no time", async (time) => {
  const world = await startExampleWorld();

  await expectRefusals(world, [
    post(TRIGGER, { scheduled_at: time }, "/scheduled_at", "format"),
    post(TRIGGER, { scheduled_at: time, dry_run: true }, "/scheduled_at", "format"),
    post(BULK, { items: [{ scheduled_at: time }] }, "/items/0/scheduled_at", "format"),
    post(WAIT, { event_key: "k", deadline: time }, "/deadline", "format"),
  ]);
});

test("a limit or a cursor that makes no sense, or belongs to another list, is refused by every list", async () => {
  const world = await startExampleWorld();
  const first = await world.request("GET", "/v1/jobs?limit=1");
  const lists = operationIds.filter((id) => operations[id].paginated);
  const foreign = (id: string) => (id === "getV1Jobs" ? "bm90aGluZw" : first.body.next_cursor);

  await expectRefusals(
    world,
    lists.flatMap((id) => {
      const refused = (query: string, rule: string): Refusal => {
        const field = `/query/${query.split("=")[0]}`;
        return { ...get(`${examplePath(id).split("?")[0]}?${query}`, field, rule), ...world.credentialsOf(id) };
      };
      return [
        refused("limit=0", "minimum"),
        refused("limit=101", "maximum"),
        refused("limit=abc", "type"),
        refused("limit=", "type"),
        refused("limit=1.5", "type"),
        refused("limit=1e1", "type"),
        refused("limit=010", "type"),
        refused("limit=-0", "type"),
        refused("limit=0x10", "type"),
        refused("limit=%2010", "type"),
        refused("limit=%2B10", "type"),
        refused("surprise=1", "additionalProperties"),
        refused("cursor=", "minLength"),
        refused(`cursor=${"a".repeat(1025)}`, "maxLength"),
        refused("cursor=x", "cursor"),
        refused(`cursor=${foreign(id)}`, "cursor"),
      ];
    }),
  );
});

test.each([
  ["", "minLength"],
  [".", "not"],
  ["..", "not"],
  ["stats", "not"],
  ["purge", "not"],
  ["dispatch", "not"],
  ["prefix", "not"],
  ["k".repeat(513), "maxLength"],
  ["👍".repeat(513), "maxLength"],
  ["line\nbreak", "pattern"],
  ["delete\u007f", "pattern"],
  ["next line\u0085", "pattern"],
])("%j is no event key", async (key, rule) => {
  const world = await startExampleWorld();
  const path = `/v1/events/${encodeURIComponent(key)}`;

  // In a path, an empty segment is another route, URLs swallow dots, and what is not a key may be an operation.
  const isOperation = "getV1Events".concat(key.charAt(0).toUpperCase(), key.slice(1)) in operations;
  const read = get(path, "/path/eventKey", rule);
  const inPath = [...(isOperation ? [] : [read]), { ...read, method: "DELETE" }].concat(
    get(`${path}/stream`, "/path/eventKey", rule),
    post(`${path}/send`, {}, "/path/eventKey", rule),
  );
  await expectRefusals(world, [
    post(WAIT, { event_key: key }, "/event_key", rule),
    ...(key.replaceAll(".", "") === "" ? [] : inPath),
  ]);
});

test("the fix names what would do: every type of a field that takes several, and not the schema's own words", async () => {
  const world = await startExampleWorld();
  const { request, runToken: token } = world;

  const answers = [
    await request("POST", WAIT, { token, body: { event_key: "a", payload_schema: 5 } }),
    await request("POST", "/v1/events/purge/send", { token: world.apiKey, body: {} }),
  ];

  expect(answers.map(({ body }) => body.error.details.issues[0].fix)).toEqual([
    "send a value of the type object or null",
    "send another value: this one means something else here",
  ]);
});

test("percent-encoding that is broken, or not of UTF-8, is refused", async () => {
  const world = await startExampleWorld();
  const refused = (path: string) => get(path, "/path", "percentEncoding");

  await expectRefusals(
    world,
    ["%", "%2", "%zz", "a%E0%A4b", "%ff", "%ED%A0%80"].flatMap((key) => [
      refused(`/v1/events/${key}`),
      refused(`/v1/jobs/${key}`),
      { ...refused(`/v1/events/${key}/send`), method: "POST" },
      get(`/v1/events?prefix=${key}`, "/query", "percentEncoding"),
      { ...get(`/v1/events/k?reason=${key}`, "/query", "percentEncoding"), method: "DELETE" },
    ]),
  );
});

test("a set that is expected has to say what is expected of it: an empty one would guard nothing", async () => {
  const world = await startExampleWorld();

  await expectRefusals(world, [
    post("/v1/events/prefix/aml%3A/send", { expect: {} }, "/expect", "minProperties"),
    post("/v1/events/purge", { older_than_days: 1, expect: {} }, "/expect", "minProperties"),
  ]);
});

test("a time that no column holds is told the times that one does", async () => {
  const world = await startExampleWorld();

  const answer = await world.request("POST", TRIGGER, {
    token: world.apiKey,
    body: { scheduled_at: "9999-12-31T23:59:59Z" },
  });

  const issue = {
    field: "/scheduled_at",
    rule: "format",
    fix: "send a time such as 2026-11-21T10:00:00Z, from 0001-01-02 to 9999-12-30",
  };
  expect(answer.body.error.details.issues).toEqual([issue]);
});
