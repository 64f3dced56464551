import { type ErrorCode, errorStatus, examples, type OperationId, operations, scopes } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { contentsOf } from "./contents.ts";
import { escaped, expectToFit, expectToKeepTheContract, inContract, type Node } from "./contract.ts";
import { type ExampleWorld, examplePath, operationIds, startExampleWorld, takesAnyKey } from "./example-world.ts";
import type { RequestOptions } from "./server.ts";

/** Sends an operation's example. */
function send(
  world: ExampleWorld,
  id: OperationId,
  changes: RequestOptions & { path?: string } = {},
): Promise<Response> {
  const { body } = examples[id].request;
  const { path = examplePath(id), ...options } = changes;
  return world.fetch(operations[id].method, path, { body, ...world.credentialsOf(id), ...options });
}

/** Objects of the contract may grow, but the server sends what is written there and nothing besides. */
function expectTheFieldsOf(example: unknown, body: unknown): void {
  if (typeof example !== "object" || example === null) return;
  expect(Object.keys(body as Node).toSorted()).toEqual(Object.keys(example).toSorted());
  const [given, got] = [(example as Node).data, (body as Node).data];
  if (Array.isArray(given) && Array.isArray(got)) expectTheFieldsOf(given[0], got[0]);
}

const withMedia = (media: string) => operationIds.filter((id) => operations[id].media === media);

describe("the example of the contract", () => {
  test.each([...withMedia("json"), ...withMedia("none")])("for %s is answered as the contract says", async (id) => {
    const world = await startExampleWorld();

    const response = await send(world, id);

    expect(operations[id].success).toContain(response.status);
    const body = await expectToKeepTheContract(id, response);
    expectTheFieldsOf(examples[id].responses[response.status], body);
  });

  test.each([
    ["getV1EventsByEventKeyStream", "EventTrigger"],
    ["getV1RunsByRunIDStream", "Run"],
    ["getV1WorkflowRunsByWorkflowRunIDStream", "WorkflowRun"],
  ] as const)("for %s opens a stream whose first frame is the whole %s", async (id, schema) => {
    const world = await startExampleWorld();

    const response = await send(world, id);

    expect(response.status).toBe(200);
    await expectToKeepTheContract(id, response);
    const [retry, frame] = await firstFrames(response, 2);
    expect(retry).toMatch(/^retry: \d+$/);
    const {
      event,
      id: cursor,
      data,
    } = Object.fromEntries((frame ?? "").split("\n").map((line) => line.split(/: (.*)/s)));
    expect([event, cursor]).toEqual(["status", expect.stringMatching(/^\S+$/)]);
    expectToFit(`/components/schemas/${schema}`, JSON.parse(data));
  });

  test("is there for every operation, with all that it asks for", () => {
    const missing = operationIds.filter((id) => {
      const { method, path } = operations[id];
      const operation = inContract(`/paths/${escaped(path)}/${method.toLowerCase()}`)?.node;
      const hasBody = examples[id]?.request.body !== undefined;
      return !examples[id] || (operation?.requestBody !== undefined && !hasBody);
    });

    expect(missing).toEqual([]);
    expect(withMedia("sse")).toHaveLength(3);
    expect(() => operationIds.map((id) => examplePath(id))).not.toThrow();
  });
});

async function firstFrames(response: Response, count: number): Promise<string[]> {
  const reader = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.split("\n\n").length <= count) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text.split("\n\n").slice(0, count);
}

const UNKNOWN: Readonly<Record<string, string>> = {
  deliveryID: "whd_nobody",
  eventID: "evt_nobody",
  eventKey: "nobody:waits",
  prefix: "nobody:",
  key: "nobody-set-this",
  projectID: "proj_nobody",
  keyID: "key_nobody",
  jobID: "nobody",
  workflowID: "nobody",
  runID: "run_nobody",
  workflowRunID: "wfr_nobody",
};
type Refusal = [what: string, code: ErrorCode, refuse: (world: ExampleWorld) => Promise<Response>];

/** The ways in which an operation's example can be spoiled so that it is refused. */
function refusalsOf(id: OperationId, keyWithout: ReadonlyMap<string, string>): Refusal[] {
  const { auth, scope, path, tag } = operations[id];
  const { request } = examples[id];
  const refusals: Refusal[] = [];
  if (auth.length > 0) {
    refusals.push(["no credentials", "unauthorized", (world) => send(world, id, { token: null, headers: {} })]);
    refusals.push([
      "a query field that is unknown",
      "validation_error",
      (world) => {
        const example = examplePath(id);
        return send(world, id, { path: `${example}${example.includes("?") ? "&" : "?"}surprise=1` });
      },
    ]);
  }
  if (scope !== null) {
    refusals.push([
      "a key with every scope but the one",
      "forbidden",
      (world) => send(world, id, { token: keyWithout.get(scope) ?? null }),
    ]);
  }
  const parameter = path.match(/\{(\w+)\}(?!.*\{)/)?.[1];
  const isRunItself = tag === "sdk-runs" && parameter === "runID";
  if (parameter !== undefined && !isRunItself && !takesAnyKey.has(id)) {
    const unknown = examplePath(id, { [parameter]: UNKNOWN[parameter] ?? "" });
    refusals.push(["an unknown id", "not_found", (world) => send(world, id, { path: unknown })]);
  }
  if (request.body !== undefined) {
    const broken = { ...(request.body as object), surprise: true };
    refusals.push(["an unknown field", "validation_error", (world) => send(world, id, { body: broken })]);
    refusals.push(["broken JSON", "validation_error", (world) => send(world, id, { text: '{"payload":' })]);
    refusals.push([
      "another content type",
      "unsupported_media_type",
      (world) => send(world, id, { headers: { ...world.credentialsOf(id).headers, "content-type": "text/plain" } }),
    ]);
    refusals.push([
      "a body that is too large",
      "payload_too_large",
      (world) => send(world, id, { text: `${" ".repeat(2 ** 20)}{}` }),
    ]);
  }
  return refusals;
}

test("every refusal is an error of the contract, and changes nothing", async () => {
  const world = await startExampleWorld();
  const keyWithout = new Map<string, string>();
  const single = scopes.filter((scope) => scope !== "*");
  for (const scope of single) keyWithout.set(scope, await world.keyWith(single.filter((other) => other !== scope)));
  const before = await contentsOf(world.db);

  for (const id of operationIds) {
    for (const [what, code, refuse] of refusalsOf(id, keyWithout)) {
      const response = await refuse(world);

      expect.soft(response.status, `${id}: ${what}`).toBe(errorStatus[code]);
      const body = (await expectToKeepTheContract(id, response)) as { error: { code: string }; request_id: string };
      expect.soft(body.error.code, `${id}: ${what}`).toBe(code);
      expect(body.request_id).toBe(response.headers.get("x-request-id"));
    }
  }

  expect(await contentsOf(world.db)).toEqual(before);
});
