import { examples, type OperationId, operations, scopes } from "@strait/contract";
import {
  type Answer,
  type AuthType,
  type CallOptions,
  createClient,
  type Paginator,
  type StreamEvent,
} from "@strait/ts";
import { describe, expect, test } from "vitest";
import { escaped, inContract } from "./contract.ts";
import { contentsOf, type ExampleWorld, operationIds, startExampleWorld } from "./example-world.ts";

interface Input extends CallOptions {
  readonly pathParams: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The surfaces of a client by name: here each operation is one of many. */
interface Surfaces {
  readonly operations: Record<string, (input: Input) => Promise<Answer<unknown, { code: string; requestId: string }>>>;
  readonly stream: Record<string, (input: Input) => AsyncIterable<StreamEvent<unknown>>>;
  readonly paginate: Record<string, (input: Input) => Paginator<unknown, unknown>>;
}

/** A client of the server of the world, with the credential that the operation takes, or with another token. */
function clientOf(world: ExampleWorld, id: OperationId, token = tokenOf(world, id)): Surfaces {
  const type = credentialOf(id);
  const client = createClient({
    baseUrl: "http://strait.test",
    auth: { type, token },
    retries: 0,
    fetch: async (url, { body, headers, ...init }) => {
      const length = body === null ? {} : { "content-length": String(Buffer.byteLength(body)) };
      return world.server.fetch(new Request(url, { ...init, headers: { ...headers, ...length }, body }));
    },
  });
  return client as unknown as Surfaces;
}

function credentialOf(id: OperationId): AuthType {
  return operations[id].auth[0] ?? "bearer";
}

function tokenOf(world: ExampleWorld, id: OperationId): string {
  return { bearer: world.apiKey, runToken: world.runToken, internalSecret: world.internalSecret }[credentialOf(id)];
}

function inputOf(id: OperationId, changes: Partial<Input> = {}): Input {
  return { ...(examples[id].request as Input), ...changes };
}

const withMedia = (isStream: boolean) => operationIds.filter((id) => (operations[id].media === "sse") === isStream);

describe("the client, against the server", () => {
  test.each(withMedia(false))("calls %s with the contract's example", async (id) => {
    const world = await startExampleWorld();

    const answer = await clientOf(world, id).operations[id]?.(inputOf(id));

    expect(answer?.error).toBeUndefined();
    expect(operations[id].success).toContain(answer?.response.status);
    expect(answer?.data === undefined).toBe(answer?.response.status === 204);
  });

  test.each(withMedia(true))("follows %s", async (id) => {
    const world = await startExampleWorld();

    const events = clientOf(world, id).stream[id]?.(inputOf(id));

    for await (const event of events ?? []) {
      expect(event).toMatchObject({ event: "status", id: expect.any(String), data: { id: expect.any(String) } });
      return;
    }
    expect.unreachable("the stream told nothing");
  });

  test("follows every list to its end", async () => {
    const world = await startExampleWorld();
    const lists = operationIds.filter((id) => operations[id].paginated);

    for (const id of lists) {
      const { operations: answers, paginate } = clientOf(world, id);
      const { query } = examples[id].request;
      const listed: unknown[] = [];
      for await (const item of paginate[id]?.(inputOf(id, { query: { ...query, limit: 1 } })) ?? []) listed.push(item);

      const whole = await answers[id]?.(inputOf(id, { query: { ...query, limit: 100 } }));
      expect({ data: listed }, id).toEqual({ data: (whole?.data as { data: unknown[] } | undefined)?.data });
    }
  });
});

/** Inputs that the server refuses, by the code that it gives. */
function refusalsOf(id: OperationId, world: ExampleWorld, keyWithout: ReadonlyMap<string, string>) {
  const { auth, method, scope, path, tag } = operations[id];
  const refusals: [code: string, input: Input, token?: string | undefined][] = [];
  const parameter = path.match(/\{(\w+)\}(?!.*\{)/)?.[1];
  const documents = (status: number) => inContract(`${pointerTo(id)}/responses/${status}`) !== undefined;

  if (auth.length > 0) {
    refusals.push(["unauthorized", inputOf(id), "strait_nobody_has_this_key"]);
    refusals.push(["validation_error", inputOf(id, { query: { surprise: 1 } })]);
  }
  if (scope !== null) refusals.push(["forbidden", inputOf(id), keyWithout.get(scope)]);
  if (credentialOf(id) === "runToken") {
    refusals.push(["token_expired", inputOf(id), world.signRunToken({}, -1)]);
    if (method !== "GET") refusals.push(["stale_dispatch", inputOf(id), world.signRunToken({ dispatchSeq: 7 })]);
  }
  const isRunItself = tag === "sdk-runs" && parameter === "runID";
  // An event for a key that nobody waits on is kept, any key can be explained, and a prefix or an inbox may be new.
  const mayBeNew = ["prefix", "name"].includes(parameter ?? "") || /EventKey(Send|Explain)$/.test(id);
  if (parameter !== undefined && !isRunItself && documents(404) && !mayBeNew) {
    refusals.push(["not_found", inputOf(id, { pathParams: { ...inputOf(id).pathParams, [parameter]: "nobody" } })]);
  }
  const { body } = inputOf(id);
  if (body !== undefined) {
    refusals.push(["validation_error", inputOf(id, { body: { ...(body as object), surprise: true } })]);
    refusals.push(["payload_too_large", inputOf(id, { body: { padding: " ".repeat(2 ** 20) } })]);
  }
  return refusals;
}

function pointerTo(id: OperationId): string {
  const { method, path } = operations[id];
  return `/paths/${escaped(path)}/${method.toLowerCase()}`;
}

test("the client gets every refusal as the error of its status, and nothing changes", async () => {
  const world = await startExampleWorld();
  const keyWithout = new Map<string, string>();
  const single = scopes.filter((scope) => scope !== "*");
  for (const scope of single) keyWithout.set(scope, await world.keyWith(single.filter((other) => other !== scope)));
  const before = await contentsOf(world.db);

  for (const id of withMedia(false)) {
    for (const [code, input, token] of refusalsOf(id, world, keyWithout)) {
      const answer = await clientOf(world, id, token).operations[id]?.(input);

      expect.soft(answer?.error?.code, `${id}: ${code}`).toBe(code);
      expect.soft(answer?.error?.requestId).toBe(answer?.response.headers.get("x-request-id"));
    }
  }

  expect(await contentsOf(world.db)).toEqual(before);
});

/** What cannot be done twice, and what the client is told of it. */
const onceOnly = {
  deleteV1EventsByEventKey: "wait_closed",
  deleteV1RunsByRunID: "illegal_move",
  deleteV1WorkflowRunsByWorkflowRunID: "illegal_move",
  postSdkV1RunsByRunIDWaitForEvent: "illegal_move",
  postSdkV1RunsByRunIDWaitForEvents: "illegal_move",
  postV1ApiKeysByKeyIDRotate: "conflict",
  postV1EventDeadLettersByEventIDDiscard: "illegal_move",
  postV1EventDeadLettersByEventIDRetarget: "illegal_move",
  postV1EventsByEventKeyExtend: "expectation_failed",
  postV1Jobs: "conflict",
  postV1Projects: "conflict",
  postV1WebhooksDeliveriesByDeliveryIDRetry: "illegal_move",
  postV1Workflows: "conflict",
} as const;

test.each(Object.entries(onceOnly))("the client is told that %s has been done before: %s", async (name, code) => {
  const id = name as OperationId;
  const world = await startExampleWorld();
  const { operations: answers } = clientOf(world, id);
  await answers[id]?.(inputOf(id));

  const again = await answers[id]?.(inputOf(id));

  expect(again?.error).toMatchObject({ _tag: "ConflictError", status: 409, code });
});

const keyed = withMedia(false).filter((id) => inContract(`${pointerTo(id)}/responses/422`) !== undefined);

test.each(keyed)("the client is told that an idempotency key came back with another request of %s", async (id) => {
  const world = await startExampleWorld();
  const { operations: answers } = clientOf(world, id);
  const { body = {} } = inputOf(id);
  const first = await answers[id]?.(inputOf(id, { idempotencyKey: "once" }));

  const second = await answers[id]?.(inputOf(id, { idempotencyKey: "once", body: reworded(body) }));

  expect(first?.error).toBeUndefined();
  expect(second?.error).toMatchObject({ _tag: "UnprocessableError", status: 422, code: "idempotency_mismatch" });
});

/** The same shape with another value deep in its last field; `{}` is another body than none. */
function reworded(value: unknown): unknown {
  if (Array.isArray(value)) return [reworded(value[0]), ...value.slice(1)];
  if (typeof value === "object" && value !== null) {
    const [name, last] = Object.entries(value).at(-1) ?? [];
    return name === undefined ? value : { ...value, [name]: reworded(last) };
  }
  if (typeof value === "number") return value + 1;
  return typeof value === "boolean" ? !value : `${value ?? ""}x`;
}
