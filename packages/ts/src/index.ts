import { buildClient } from "./client.ts";
import type {
  BearerOperations,
  BearerOperationsPromise,
  BearerPagination,
  BearerStreams,
  InternalSecretOperations,
  InternalSecretOperationsPromise,
  InternalSecretPagination,
  InternalSecretStreams,
  PostV1JobsByJobIDTriggerInput,
  PostV1WorkflowsByWorkflowIDTriggerInput,
  RunTokenOperations,
  RunTokenOperationsPromise,
  RunTokenPagination,
  RunTokenStreams,
} from "./generated/client-types.ts";
import { operationTable } from "./generated/operations.ts";
import type { BearerPaths, InternalSecretPaths, RunTokenPaths } from "./generated/paths.ts";
import type { EventTrigger, Run, WorkflowRunWithSteps } from "./generated/types.ts";
import type { ClientOptions } from "./options.ts";
import type { PathsClient } from "./paths-client.ts";
import type { AuthType } from "./runtime.ts";
import type { WaitOptions } from "./wait.ts";

export { type BatchOptions, type BatchProgress, batch } from "./batch.ts";
export type { TokenProvider } from "./credentials.ts";
export type { ErrorAnswer, ErrorContext } from "./errors.ts";
export {
  AbortError,
  ApiError,
  ConnectionError,
  DecodeError,
  ProtocolError,
  StraitError,
  TimeoutError,
  TokenError,
  ValidationError,
} from "./errors.ts";
export type * from "./generated/client-types.ts";
export type { BearerPaths, InternalSecretPaths, RunTokenPaths } from "./generated/paths.ts";
export type * from "./generated/types.ts";
export { type LogEntry, type LogLevel, type LogOptions, logRequests } from "./log-requests.ts";
export type { Middleware, Next, OutgoingRequest } from "./middleware.ts";
export type { BearerAuth, ClientOptions, Fetch, FetchInit, InternalSecretAuth, RunTokenAuth } from "./options.ts";
export type { PathsClient } from "./paths-client.ts";
export type {
  Answer,
  AuthType,
  CallOptions,
  EventStream,
  PaginateOptions,
  Paginator,
  RefusalAnswer,
  StreamEvent,
  StreamOptions,
  SuccessAnswer,
  ValidateMode,
} from "./runtime.ts";
export type { AnyApiError, AnyStraitError, ErrorsByStatus } from "./status-errors.ts";
export {
  BadRequestError,
  ConflictError,
  ForbiddenError,
  isStraitError,
  NotFoundError,
  PayloadTooLargeError,
  RateLimitedError,
  RunTokenExpiredError,
  ServerError,
  UnauthorizedError,
  UnexpectedStatusError,
  UnprocessableError,
  UnsupportedMediaTypeError,
} from "./status-errors.ts";

export type { AnsweredCall, AnswerFault, AnswerValidator } from "./validation.ts";
export type { WaitOptions } from "./wait.ts";

/** What each kind of credential may call, on each surface of a client. */
export interface Surfaces {
  readonly operationsPromise: {
    readonly bearer: BearerOperationsPromise;
    readonly runToken: RunTokenOperationsPromise;
    readonly internalSecret: InternalSecretOperationsPromise;
  };
  readonly operations: {
    readonly bearer: BearerOperations;
    readonly runToken: RunTokenOperations;
    readonly internalSecret: InternalSecretOperations;
  };
  readonly paginate: {
    readonly bearer: BearerPagination;
    readonly runToken: RunTokenPagination;
    readonly internalSecret: InternalSecretPagination;
  };
  readonly stream: {
    readonly bearer: BearerStreams;
    readonly runToken: RunTokenStreams;
    readonly internalSecret: InternalSecretStreams;
  };
  readonly waiting: {
    readonly bearer: Waiting;
    readonly runToken: NoWaiting;
    readonly internalSecret: Waiting;
  };
  readonly paths: {
    readonly bearer: PathsClient<BearerPaths>;
    readonly runToken: PathsClient<RunTokenPaths>;
    readonly internalSecret: PathsClient<InternalSecretPaths>;
  };
}

/** What is built on streams. */
export interface Waiting {
  readonly waitUntil: WaitUntil;
  /** Triggers a job and waits, over the run's stream, for the run to end. Resolves however it has ended. */
  triggerAndWait(input: PostV1JobsByJobIDTriggerInput, options?: WaitOptions<Run>): Promise<Run>;
  /** Triggers a workflow and waits, over its stream, for the workflow run to end. Resolves however it has ended. */
  triggerWorkflowAndWait(
    input: PostV1WorkflowsByWorkflowIDTriggerInput,
    options?: WaitOptions<WorkflowRunWithSteps>,
  ): Promise<WorkflowRunWithSteps>;
}

/** The token of a run opens no streams. */
export interface NoWaiting {
  readonly waitUntil: undefined;
  readonly triggerAndWait: undefined;
  readonly triggerWorkflowAndWait: undefined;
}

/**
 * Waits, over its stream and without polling, for an event trigger, a workflow run or a run to end, or for the first state
 * that `until` holds for. Resolves with the last state that it saw, however it ended.
 */
export interface WaitUntil {
  (
    trigger: { readonly id: string; readonly event_key: string },
    options?: WaitOptions<EventTrigger>,
  ): Promise<EventTrigger>;
  (
    workflowRun: { readonly id: string; readonly workflow_id: string },
    options?: WaitOptions<WorkflowRunWithSteps>,
  ): Promise<WorkflowRunWithSteps>;
  (run: { readonly id: string }, options?: WaitOptions<Run>): Promise<Run>;
}

/** A client of one server under one credential. It holds no connection and needs no closing. */
export interface Client<Type extends AuthType> {
  /**
   * Every operation that the credential may call, by its operation id. A method resolves with the body of the success
   * answer and throws a `StraitError` otherwise.
   */
  readonly operationsPromise: Surfaces["operationsPromise"][Type];
  /**
   * The same operations, which resolve with `{ ok, data, error, response }` for every answer; `error` is typed by the
   * operation. They throw only when there is no answer to give: `ConnectionError`, `TimeoutError`, `AbortError`,
   * `DecodeError`, `ValidationError`, `TokenError`.
   */
  readonly operations: Surfaces["operations"][Type];
  /** The operations that list something, each as an async iterable over all entries; `.pages()` iterates over pages. */
  readonly paginate: Surfaces["paginate"][Type];
  /**
   * The event streams, each as an async iterable that survives broken connections and gives each event once. It ends when
   * what it tells about has ended.
   */
  readonly stream: Surfaces["stream"][Type];
  readonly waitUntil: Surfaces["waiting"][Type]["waitUntil"];
  readonly triggerAndWait: Surfaces["waiting"][Type]["triggerAndWait"];
  readonly triggerWorkflowAndWait: Surfaces["waiting"][Type]["triggerWorkflowAndWait"];
  /**
   * An openapi-fetch client over the same transport, for its middleware and for what is built on it. It is loaded when it
   * is first used.
   */
  readonly paths: Surfaces["paths"][Type];
}

/**
 * Makes a client. Its operations depend on the credential: with `auth.type: "runToken"` those that a job may call about
 * its own run, with `"bearer"` and `"internalSecret"` those of the API.
 *
 * A call is tried up to three times: after 408, 425, 429, 5xx and broken connections, and only when a repetition is
 * safe, which for a POST is ensured by an `Idempotency-Key`.
 *
 * @throws {TypeError} When an option is missing or wrong; the message names it and the fix.
 *
 * @example
 * ```ts
 * const client = createClient({
 *   baseUrl: "https://strait.dev",
 *   auth: { type: "bearer", token: apiKey },
 * });
 * await client.operationsPromise.postV1EventsByEventKeySend({
 *   pathParams: { eventKey: "aml:user-456" },
 *   body: { payload: { result: "clear" } },
 * });
 * ```
 */
export function createClient<Type extends AuthType>(options: ClientOptions<Type>): Client<Type> {
  // The generated interfaces are written from the same table that `buildClient` reads.
  return buildClient(operationTable, options) as unknown as Client<Type>;
}
