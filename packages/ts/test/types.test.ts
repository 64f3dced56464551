import { describe, expectTypeOf, test } from "vitest";
import {
  type AnyStraitError,
  type AuthType,
  type BearerOperationsPromise,
  type Client,
  createClient,
  type ErrorResponse,
  type EventTrigger,
  type EventTriggerPage,
  type InternalSecretOperationsPromise,
  isStraitError,
  type JsonValue,
  type NotFoundError,
  type RateLimitedError,
  type Run as RunOfJob,
  type RunTokenOperationsPromise,
  type StepRun,
  type WorkflowRun,
  type WorkflowRunWithSteps,
} from "../src/index.ts";

// The compiler is the judge of this file; nothing in it sends a request.

const token = "strait_test_0123456789";
const runClient = createClient({ baseUrl: "https://strait.dev", auth: { type: "runToken", token } });
const eventClient = createClient({ baseUrl: "https://strait.dev", auth: { type: "bearer", token } });
const adminClient = createClient({ baseUrl: "https://strait.dev", auth: { type: "internalSecret", token } });

type Run = RunTokenOperationsPromise;
type Bearer = BearerOperationsPromise;
type Admin = InternalSecretOperationsPromise;

/** Keeps the calls of this file from being made. */
function neverCalled(_calls: () => unknown): void {}

describe("the guide's example", () => {
  test("compiles, and knows what it gets", () => {
    neverCalled(async () => {
      const runID = "run_1";
      const documentId = "doc-1";

      const trigger = await runClient.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({
        pathParams: { runID },
        body: {
          event_key: `review:${documentId}`,
          timeout_secs: 172800,
          notify_url: "https://myapp.com/webhook/review-ready",
        },
      });
      const resolved = await eventClient.operationsPromise.postV1EventsByEventKeySend({
        pathParams: { eventKey: `review:${documentId}` },
        body: { payload: { approved: true, reviewer: "alice", comments: "Looks good" } },
      });
      const status = await eventClient.operationsPromise.getV1EventsByEventKey({
        pathParams: { eventKey: `review:${documentId}` },
      });

      expectTypeOf(trigger.trigger_id).toEqualTypeOf<string>();
      expectTypeOf(resolved.status).toExtend<string>();
      expectTypeOf<"received">().toExtend<typeof status.status>();
      expectTypeOf(status.generation).toEqualTypeOf<number>();
      expectTypeOf(status.expires_at).toEqualTypeOf<string | null>();
    });
  });
});

describe("a credential", () => {
  test("decides which operations there are", () => {
    expectTypeOf(runClient).toEqualTypeOf<Client<"runToken">>();
    expectTypeOf(runClient.operationsPromise).toEqualTypeOf<Run>();
    expectTypeOf(eventClient.operationsPromise).toEqualTypeOf<Bearer>();
    expectTypeOf(adminClient.operationsPromise).toEqualTypeOf<Admin>();

    expectTypeOf<Run>().toHaveProperty("postSdkV1RunsByRunIDWaitForEvent");
    expectTypeOf<Run>().not.toHaveProperty("postV1EventsByEventKeySend");
    expectTypeOf<Bearer>().not.toHaveProperty("postSdkV1RunsByRunIDWaitForEvent");
    expectTypeOf<Bearer>().not.toHaveProperty("getV1Projects");
    expectTypeOf<Admin>().toHaveProperty("getV1Projects");
    expectTypeOf<Admin>().toHaveProperty("postV1EventsByEventKeySend");
  });

  test("of the wrong kind does not compile", () => {
    neverCalled(() => {
      // @ts-expect-error: a run token cannot send events
      runClient.operationsPromise.postV1EventsByEventKeySend({ pathParams: { eventKey: "k" }, body: {} });
      // @ts-expect-error: an API key cannot speak for a run
      eventClient.operationsPromise.postSdkV1RunsByRunIDHeartbeat({ pathParams: { runID: "run_1" } });
      // @ts-expect-error: only the internal secret makes projects
      eventClient.operationsPromise.postV1Projects({ body: { name: "acme" } });
    });
  });

  test("that is known only at run time leaves what every kind may call", () => {
    neverCalled((type = "bearer" as AuthType) => {
      const client = createClient({ baseUrl: "https://strait.dev", auth: { type, token } });
      client.operationsPromise.getHealth();
      // @ts-expect-error: not every kind may
      client.operationsPromise.getV1Events();
    });
  });

  test("has only the fields of its kind", () => {
    neverCalled(() => {
      createClient({ baseUrl: "", auth: { type: "internalSecret", token, projectId: "proj_1" } });
      // @ts-expect-error: an API key has its project
      createClient({ baseUrl: "", auth: { type: "bearer", token, projectId: "proj_1" } });
      // @ts-expect-error: no such kind
      createClient({ baseUrl: "", auth: { type: "basic", token } });
      // @ts-expect-error: no token
      createClient({ baseUrl: "", auth: { type: "bearer" } });
      createClient({ baseUrl: "", auth: { type: "bearer", token: async () => "strait_from_a_vault" } });
      // @ts-expect-error: the token of a run is given once
      createClient({ baseUrl: "", auth: { type: "runToken", token: async () => "run-token" } });
      // @ts-expect-error: the environment may lack it
      createClient({ baseUrl: "", auth: { type: "bearer", token: process.env.STRAIT_API_KEY } });
      // @ts-expect-error: no such option
      createClient({ baseUrl: "", auth: { type: "bearer", token }, retry: 3 });
    });
  });
});

describe("the answer of an operation", () => {
  const key = { pathParams: { eventKey: "k" } };

  test("is data or one of the errors that its contract has", () => {
    neverCalled(async () => {
      const answer = await eventClient.operations.getV1EventsByEventKey(key);
      if (answer.ok) {
        expectTypeOf(answer.data).toEqualTypeOf<EventTrigger>();
        expectTypeOf(answer.error).toEqualTypeOf<undefined>();
        return;
      }
      expectTypeOf(answer.data).toEqualTypeOf<undefined>();
      expectTypeOf(answer.error._tag).toEqualTypeOf<
        | "BadRequestError"
        | "UnauthorizedError"
        | "ForbiddenError"
        | "NotFoundError"
        | "ServerError"
        | "UnexpectedStatusError"
      >();
      if (answer.error._tag === "NotFoundError") expectTypeOf(answer.error.body).toEqualTypeOf<ErrorResponse>();
    });
  });

  test("knows that a run's token can expire", () => {
    neverCalled(async () => {
      const answer = await runClient.operations.getSdkV1RunsByRunIDPayload({ pathParams: { runID: "run_1" } });
      if (answer.error?._tag === "RunTokenExpiredError") expectTypeOf(answer.error.status).toEqualTypeOf<401>();
      if (answer.ok) expectTypeOf(answer.data).toEqualTypeOf<JsonValue>();
      // @ts-expect-error: an API key does not expire under a run
      (await eventClient.operations.getV1EventsByEventKey(key)).error?._tag === "RunTokenExpiredError";
    });
  });

  test("is there for the operations of the credential only", () => {
    neverCalled(() => {
      // @ts-expect-error: a run token cannot read events
      runClient.operations.getV1EventsByEventKey(key);
      // @ts-expect-error: nor through the paths
      runClient.paths.GET("/v1/events/{eventKey}", { params: { path: key.pathParams } });
      // @ts-expect-error: nor list them
      runClient.paginate.getV1Events();
      // @ts-expect-error: one event trigger is no list
      eventClient.paginate.getV1EventsByEventKey(key);
    });
  });
});

test("a list knows its entries and its pages", () => {
  neverCalled(async () => {
    const list = eventClient.paginate.getV1Events({ query: { status: "waiting" } }, { maxItems: 10 });
    for await (const trigger of list) expectTypeOf(trigger).toEqualTypeOf<EventTrigger>();
    for await (const page of list.pages()) expectTypeOf(page).toEqualTypeOf<EventTriggerPage>();
  });
});

describe("a stream", () => {
  test("knows what it tells about", () => {
    neverCalled(async () => {
      for await (const { data, id } of eventClient.stream.getV1EventsByEventKeyStream({
        pathParams: { eventKey: "k" },
        lastEventId: "1-1",
        stallMs: 1,
      })) {
        expectTypeOf(data).toEqualTypeOf<EventTrigger>();
        expectTypeOf(id).toEqualTypeOf<string | undefined>();
      }
      const workflowRuns = eventClient.stream.getV1WorkflowRunsByWorkflowRunIDStream({
        pathParams: { workflowRunID: "wfr_1" },
      });
      for await (const { data } of workflowRuns) expectTypeOf(data.steps).toEqualTypeOf<StepRun[]>();
      // @ts-expect-error: the token of a run opens no streams
      runClient.stream.getV1EventsByEventKeyStream({ pathParams: { eventKey: "k" } });
    });
  });

  test("can be waited for, by what it tells about", () => {
    neverCalled(async (trigger?: EventTrigger, run?: RunOfJob, workflowRun?: WorkflowRun) => {
      if (!trigger || !run || !workflowRun) return;
      expectTypeOf(await eventClient.waitUntil(trigger)).toEqualTypeOf<EventTrigger>();
      expectTypeOf(await eventClient.waitUntil(workflowRun)).toEqualTypeOf<WorkflowRunWithSteps>();
      expectTypeOf(await eventClient.waitUntil(run)).toEqualTypeOf<RunOfJob>();
      await eventClient.waitUntil(run, { until: ({ status }) => status === "executing" });
      // @ts-expect-error: the token of a run opens no streams
      await runClient.waitUntil(run);
    });
  });
});

test("the paths of openapi-fetch have the same types", () => {
  neverCalled(async () => {
    const { data, error } = await eventClient.paths.GET("/v1/events/{eventKey}", {
      params: { path: { eventKey: "k" } },
    });
    if (data) {
      expectTypeOf(data.status).toEqualTypeOf<string>();
      expectTypeOf(data).toExtend<EventTrigger>();
    } else expectTypeOf(error.error.message).toEqualTypeOf<string>();
    eventClient.paths.POST("/v1/events/{eventKey}/send", {
      params: { path: { eventKey: "k" }, header: { "Idempotency-Key": "order-1" } },
      body: { payload: 1 },
    });
    // @ts-expect-error: the key is missing
    eventClient.paths.GET("/v1/events/{eventKey}", { params: {} });
    // @ts-expect-error: no such filter
    eventClient.paths.GET("/v1/events/{eventKey}", { params: { path: { eventKey: "k" }, query: { limit: 1 } } });
    // @ts-expect-error: requests take only the statuses that there are
    eventClient.paths.GET("/v1/events", { params: { query: { status: "done" } } });
    // @ts-expect-error: the body is missing
    eventClient.paths.POST("/v1/jobs", {});
    const job = { name: "Review", slug: "review", endpoint_url: "https://app.test/review" };
    eventClient.paths.POST("/v1/jobs", { body: { ...job, timeout_secs: 60 } });
    // @ts-expect-error: no such field in the body, which has required ones
    eventClient.paths.POST("/v1/jobs", { body: { ...job, timeout: 60 } });
    // @ts-expect-error: no such field in a part of the body
    eventClient.paths.POST("/v1/workflows", { body: { ...job, steps: [{ step_ref: "s", job: "review" }] } });
    // @ts-expect-error: no such parameter
    eventClient.paths.GET("/v1/events/{eventKey}", { params: { path: { eventKey: "k", runID: "run_1" } } });
    // @ts-expect-error: the parameters stand in `params`
    eventClient.paths.GET("/v1/events", { query: { status: "waiting" } });
    // @ts-expect-error: no such field in the body, whatever names the method
    eventClient.paths.request("post", "/v1/jobs", { body: { ...job, timeout: 60 } });
    const { data: text } = await eventClient.paths.GET("/v1/events", { parseAs: "text" });
    expectTypeOf(text).toEqualTypeOf<string | undefined>();
    // @ts-expect-error: one reads health
    eventClient.paths.POST("/health");
    // @ts-expect-error: no such path
    eventClient.paths.GET("/v1/event/{eventKey}", { params: { path: { eventKey: "k" } } });
  });
});

describe("the input of a call", () => {
  const { operationsPromise } = eventClient;

  test("may be left out only when nothing in it is required", () => {
    neverCalled(() => {
      operationsPromise.getV1Events();
      operationsPromise.getV1Events({});
      // @ts-expect-error: the key is missing
      operationsPromise.getV1EventsByEventKey();
      // @ts-expect-error: the key is missing
      operationsPromise.getV1EventsByEventKey({ pathParams: {} });
      // @ts-expect-error: the body is missing
      operationsPromise.postV1Jobs({});
    });
  });

  test("is checked field by field", () => {
    neverCalled(() => {
      // @ts-expect-error: no such operation
      operationsPromise.getV1EventsByEventkey({ pathParams: { eventKey: "k" } });
      // @ts-expect-error: the parameter is eventKey
      operationsPromise.getV1EventsByEventKey({ pathParams: { event_key: "k" } });
      // @ts-expect-error: no such parameter
      operationsPromise.getV1EventsByEventKey({ pathParams: { eventKey: "k", runID: "run_1" } });
      // @ts-expect-error: no such filter
      operationsPromise.getV1Events({ query: { state: "waiting" } });
      // @ts-expect-error: requests take only the statuses that there are
      operationsPromise.getV1Events({ query: { status: "done" } });
      // @ts-expect-error: no such field in the body
      operationsPromise.postV1EventsByEventKeySend({ pathParams: { eventKey: "k" }, body: { payloads: 1 } });
    });
  });

  test("takes the options of every call", () => {
    neverCalled(() => {
      operationsPromise.getV1Events({
        signal: AbortSignal.timeout(1),
        timeoutMs: 1,
        deadlineMs: 2,
        retries: 0,
        headers: { a: "b" },
      });
      operationsPromise.postV1EventsByEventKeySend({
        pathParams: { eventKey: "k" },
        body: {},
        idempotencyKey: "order-1",
      });
      operationsPromise.postV1EventsByEventKeySend({ pathParams: { eventKey: "k" }, body: {}, idempotencyKey: false });
    });
  });
});

test("no operation of any client resolves with any or unknown", () => {
  type Untyped<Operations> = {
    [Id in keyof Operations]: Operations[Id] extends (...input: never) => Promise<infer Result>
      ? unknown extends Result
        ? Id
        : never
      : Id;
  }[keyof Operations];

  expectTypeOf<Untyped<Run>>().toEqualTypeOf<never>();
  expectTypeOf<Untyped<Bearer>>().toEqualTypeOf<never>();
  expectTypeOf<Untyped<Admin>>().toEqualTypeOf<never>();
});

test("a caught error narrows by its tag", () => {
  const read = (error: unknown): string | number | undefined => {
    if (!isStraitError(error)) return undefined;
    expectTypeOf(error).toEqualTypeOf<AnyStraitError>();
    switch (error._tag) {
      case "NotFoundError":
        expectTypeOf(error).toEqualTypeOf<NotFoundError>();
        expectTypeOf(error.status).toEqualTypeOf<404>();
        return error.requestId;
      case "RateLimitedError":
        expectTypeOf(error).toEqualTypeOf<RateLimitedError>();
        return error.retryAfterMs;
      case "TimeoutError":
        return error.limit;
      default:
        return error.message;
    }
  };

  expectTypeOf(read).returns.toEqualTypeOf<string | number | undefined>();
});
