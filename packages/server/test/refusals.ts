import { type ErrorCode, type OperationId, operations, scopes } from "@strait/contract";
import type { ClientOptions, Middleware } from "@strait/ts";
import { onTestFinished } from "vitest";
import { type ClientWorld, credentialOf, type Input, inputOf } from "./example-client.ts";
import { takesAnyKey } from "./example-world.ts";

/** One way to have the example of an operation refused. */
export interface Refusal {
  readonly code: ErrorCode;
  /** What it has else than the example. */
  readonly input?: Partial<Input>;
  /** Credentials other than those of the example. */
  readonly auth?: ClientOptions["auth"];
  /** Changes what a client would never send by itself. */
  readonly tamper?: Middleware;
  /** What happens first. */
  readonly before?: (world: ClientWorld) => Promise<unknown>;
  /** The refusal leaves a record. */
  readonly isRecorded?: true;
}

/** The documented refusals that need nothing but another request: none of them depends on the state, or changes it. */
export async function plainRefusals(world: ClientWorld, id: OperationId, status: number): Promise<Refusal[]> {
  switch (status) {
    case 400:
      return [{ code: "validation_error", input: { query: { ...inputOf(id).query, surprise: 1 } } }];
    case 401:
      return notAuthorized(world, id);
    case 403:
      return [{ code: "forbidden", auth: await powerless(world, id) }];
    case 404:
      return notThere(world, id);
    case 413:
      return [{ code: "payload_too_large", tamper: sending((body) => " ".repeat(2 ** 20) + body) }];
    case 415:
      return [{ code: "unsupported_media_type", tamper: sending((body) => body, "text/plain") }];
    default:
      return [];
  }
}

function sending(rewrite: (body: string) => string, type = "application/json"): Middleware {
  return (request, next) => {
    request.body = rewrite(request.body ?? "{}");
    request.headers["content-type"] = type;
    return next(request);
  };
}

function notAuthorized(world: ClientWorld, id: OperationId): Refusal[] {
  const type = credentialOf(id);
  const unknown: Refusal = { code: "unauthorized", auth: { type, token: "strait_nobody_has_this_key" } };
  if (type !== "runToken") return [unknown];
  return [unknown, { code: "token_expired", auth: { type, token: world.signRunToken({}, -1) } }];
}

/** Genuine credentials, for something else. */
async function powerless(world: ClientWorld, id: OperationId): Promise<ClientOptions["auth"]> {
  if (credentialOf(id) === "runToken") return { type: "runToken", token: world.signRunToken({ runId: NOBODY }) };
  // A stream token takes what its stream does.
  const scope = id === "postV1StreamTokens" ? operations.getV1EventsByEventKeyStream.scope : operations[id].scope;
  const others = scopes.filter((other) => other !== scope && other !== "*");
  return { type: "bearer", token: await world.keyWith(others) };
}

const NOBODY = "nobody";

function notThere(world: ClientWorld, id: OperationId): Refusal[] {
  const code = "not_found";
  const { path, auth } = operations[id];
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, NOBODY]);
  const pathParams = Object.fromEntries(names);
  if (credentialOf(id) === "runToken") {
    // A genuine token of a run that is gone, as after a backup was restored.
    return [{ code, input: { pathParams }, auth: { type: "runToken", token: world.signRunToken({ runId: NOBODY }) } }];
  }
  const refusals: Refusal[] = [];
  const unknown = unknownBeside[id] ?? (names.length > 0 && !takesAnyKey.has(id) ? { pathParams } : undefined);
  if (unknown) refusals.push({ code, input: unknown });
  if (new Set<string>(auth).size > 1) {
    const operator = { type: "internalSecret", token: world.internalSecret, projectId: NOBODY } as const;
    refusals.push({ code, auth: operator });
  }
  return refusals;
}

/** What is not there is not named by the path. */
const unknownBeside: { readonly [Id in OperationId]?: Partial<Input> } = {
  getV1EventsByEventKeyExplain: { query: { event_id: NOBODY } },
  postV1EventsByEventKeySend: { pathParams: { eventKey: NOBODY }, body: { if_no_waiter: "fail" } },
  postV1StreamTokens: { body: { event_key: NOBODY } },
};

/** The documented refusals that depend on the state, each of which needs a world of its own. */
export function stagedRefusals(id: OperationId, status: number): Refusal[] {
  switch (status) {
    case 409:
      return conflicting(id);
    case 422: {
      const { body } = inputOf(id);
      const keyed: Partial<Input> = { idempotencyKey: "once" };
      const before = (world: ClientWorld) => succeed(world, id, keyed);
      return [{ code: "idempotency_mismatch", before, input: { ...keyed, body: reworded(body ?? {}) } }];
    }
    case 429:
      return [exhausted[id] ?? []].flat();
    default:
      return [];
  }
}

/** @throws When the call is refused. */
async function succeed(world: ClientWorld, id: OperationId, changes: Partial<Input> = {}): Promise<void> {
  const answer = await world.clientFor(id).operations[id]?.(inputOf(id, changes));
  if (!answer?.ok) throw answer?.error ?? new Error(`${id} is no operation`);
}

/** The same shape with another value deep in its last field. */
function reworded(value: unknown): unknown {
  if (Array.isArray(value)) return [reworded(value[0]), ...value.slice(1)];
  if (typeof value === "object" && value !== null) {
    const [name, last] = Object.entries(value).at(-1) ?? [];
    return name === undefined ? value : { ...value, [name]: reworded(last) };
  }
  if (typeof value === "number") return value + 1;
  return typeof value === "boolean" ? !value : `${value ?? ""}x`;
}

function conflicting(id: OperationId): Refusal[] {
  const refusals = [conflicts[id] ?? []].flat();
  if (credentialOf(id) !== "runToken") return refusals;
  const runID = String(inputOf(id).pathParams.runID);
  const cancel = (world: ClientWorld) => succeed(world, "deleteV1RunsByRunID", { pathParams: { runID } });
  const stale = { code: "stale_dispatch", before: dispatchAgain } as const;
  return [...refusals, stale, { code: "run_closed", before: cancel }];
}

/** The run of the SDK examples has been dispatched again, by another process. */
const dispatchAgain = ({ db, runId }: ClientWorld) =>
  db.query({ text: "UPDATE runs SET dispatch_seq = dispatch_seq + 1 WHERE id = $1", values: [runId] });

/** What cannot be done twice. */
const again = (id: OperationId, code: ErrorCode): Refusal => ({ code, before: (world) => succeed(world, id) });

const disableJob = (world: ClientWorld) => succeed(world, "patchV1JobsByJobID", { body: { enabled: false } });
const disableWorkflow = (world: ClientWorld) =>
  succeed(world, "patchV1WorkflowsByWorkflowID", { body: { enabled: false } });
const otherSet = { expect: { count: 99 } };

const conflicts: { readonly [Id in OperationId]?: Refusal | readonly Refusal[] } = {
  deleteV1EventsByEventKey: again("deleteV1EventsByEventKey", "wait_closed"),
  deleteV1JobsByJobID: { code: "conflict", input: { pathParams: { jobID: "review-document" } } },
  deleteV1RunsByRunID: again("deleteV1RunsByRunID", "illegal_move"),
  deleteV1WorkflowRunsByWorkflowRunID: again("deleteV1WorkflowRunsByWorkflowRunID", "illegal_move"),
  deleteV1WorkflowsByWorkflowID: { code: "conflict", input: { pathParams: { workflowID: "kyc-onboarding" } } },
  patchV1JobsByJobID: { code: "conflict", input: { body: { slug: "create-account" } } },
  patchV1WorkflowsByWorkflowID: { code: "conflict", input: { body: { slug: "prod-deploy" } } },
  postSdkV1RunsByRunIDWaitForEvent: [
    again("postSdkV1RunsByRunIDWaitForEvent", "illegal_move"),
    { code: "key_in_use", input: { body: { event_key: "aml:user-456" } } },
  ],
  postSdkV1RunsByRunIDWaitForEvents: again("postSdkV1RunsByRunIDWaitForEvents", "illegal_move"),
  postV1ApiKeysByKeyIDRotate: again("postV1ApiKeysByKeyIDRotate", "conflict"),
  postV1EventDeadLettersByEventIDDiscard: again("postV1EventDeadLettersByEventIDDiscard", "illegal_move"),
  postV1EventDeadLettersByEventIDRetarget: again("postV1EventDeadLettersByEventIDRetarget", "illegal_move"),
  postV1EventsByEventKeyExtend: again("postV1EventsByEventKeyExtend", "expectation_failed"),
  postV1EventsByEventKeyReject: { code: "stale_generation", input: { body: { reason: "No", generation: 7 } } },
  postV1EventsByEventKeySend: [
    { code: "stale_generation", input: { body: { generation: 7 } } },
    {
      code: "already_resolved",
      before: (world) => succeed(world, "postV1EventsByEventKeySend"),
      input: { body: { payload: "another" } },
      isRecorded: true,
    },
  ],
  postV1EventsPrefixByPrefixSend: { code: "expectation_failed", input: { body: otherSet } },
  postV1EventsPurge: { code: "expectation_failed", input: { body: { older_than_days: 30, ...otherSet } } },
  postV1Jobs: again("postV1Jobs", "conflict"),
  postV1JobsByJobIDTrigger: { code: "conflict", before: disableJob },
  postV1JobsByJobIDTriggerBulk: { code: "conflict", before: disableJob },
  postV1Projects: again("postV1Projects", "conflict"),
  postV1RunsByRunIDInboxByName: {
    code: "run_closed",
    input: { pathParams: { runID: "run_01k0000000e00800000000d0ne", name: "chat" } },
    isRecorded: true,
  },
  postV1WebhooksDeliveriesByDeliveryIDRetry: again("postV1WebhooksDeliveriesByDeliveryIDRetry", "illegal_move"),
  postV1Workflows: again("postV1Workflows", "conflict"),
  postV1WorkflowsByWorkflowIDTrigger: { code: "conflict", before: disableWorkflow },
};

/** The project has as many waits open as it may, kept an event for a key, and kept a message for the run. */
async function exhaust(world: ClientWorld): Promise<void> {
  await succeed(world, "patchV1ProjectsByProjectID", {
    pathParams: { projectID: world.projectId },
    body: { max_active_event_triggers: 1, max_buffered_events_per_key: 1, max_unread_messages_per_run: 1 },
  });
  await succeed(world, "postV1EventsByEventKeySend", { pathParams: { eventKey: NOBODY } });
}

const full = (input: Partial<Input> = {}): Refusal => ({ code: "quota_exceeded", before: exhaust, input });

const following = (id: OperationId): Refusal => ({ code: "rate_limited", before: (world) => follow(world, id) });

/** Reads the beginning of a stream, and stays. */
async function follow(world: ClientWorld, id: OperationId): Promise<void> {
  const reader = world.clientFor(id).stream[id]?.(inputOf(id))[Symbol.asyncIterator]();
  onTestFinished(async () => void (await reader?.return?.()));
  await reader?.next();
}

const exhausted: { readonly [Id in OperationId]?: Refusal } = {
  getV1EventsByEventKeyStream: following("getV1EventsByEventKeyStream"),
  getV1RunsByRunIDStream: following("getV1RunsByRunIDStream"),
  getV1WorkflowRunsByWorkflowRunIDStream: following("getV1WorkflowRunsByWorkflowRunIDStream"),
  postSdkV1RunsByRunIDInboxReceive: full({ body: { names: ["never-sent"] } }),
  postSdkV1RunsByRunIDWaitForEvent: full(),
  postSdkV1RunsByRunIDWaitForEvents: full(),
  postV1EventDeadLettersByEventIDRetarget: full({ body: { event_key: NOBODY } }),
  postV1EventsByEventKeySend: full({ pathParams: { eventKey: NOBODY } }),
  postV1RunsByRunIDInboxByName: full(),
};

/** Enough for one: so that a second stream is refused. */
export const ONE_STREAM = { STRAIT_MAX_STREAMS_PER_PROJECT: "1" };
