import { refuseInput } from "./call.ts";
import type { ApiError } from "./errors.ts";
import { lateErrors } from "./late-errors.ts";
import { type ClientOptions, toConfig } from "./options.ts";
import { paginate } from "./paginate.ts";
import { lazyPaths, type UntypedPaths } from "./paths-proxy.ts";
import { createTransport, type Transport } from "./request.ts";
import { type Clock, systemClock } from "./retry.ts";
import {
  type Answer,
  type AuthType,
  authFlags,
  type CallInput,
  type EventStream,
  type Operation,
  type PaginateOptions,
  type Paginator,
  readOperation,
} from "./runtime.ts";
import type { StreamInput } from "./stream.ts";
import type { Awaitable, WaitOptions } from "./wait.ts";

/** An operation as a function; the generated interfaces give each its own input and result. */
type Method<Result> = (input?: CallInput) => Promise<Result>;

type List = (input?: CallInput, options?: PaginateOptions) => Paginator<unknown, unknown>;

type Stream = (input?: StreamInput) => EventStream<unknown>;

type TriggerAndWait = (input: CallInput, options?: WaitOptions<never>) => Promise<unknown>;

/** A client before the generated types have named its operations. */
export interface UntypedClient {
  readonly operationsPromise: Readonly<Record<string, Method<unknown>>>;
  readonly operations: Readonly<Record<string, Method<Answer<unknown, ApiError>>>>;
  readonly paginate: Readonly<Record<string, List>>;
  readonly stream: Readonly<Record<string, Stream>>;
  readonly paths: UntypedPaths;
  /** Undefined when the credential cannot open streams. */
  readonly waitUntil: ((target: Awaitable, options?: WaitOptions<never>) => Promise<unknown>) | undefined;
  readonly triggerAndWait: TriggerAndWait | undefined;
  readonly triggerWorkflowAndWait: TriggerAndWait | undefined;
}

/**
 * Makes a function of each operation that the credential may call.
 *
 * @param table - A line per operation, as `readOperation` takes it.
 * @throws {TypeError} When an option is missing or wrong.
 */
export function buildClient(table: string, options: ClientOptions, clock: Clock = systemClock): UntypedClient {
  const transport = createTransport(toConfig(options), clock);
  const operationsPromise: Record<string, Method<unknown>> = {};
  const operations: Record<string, Method<Answer<unknown, ApiError>>> = {};
  const lists: Record<string, List> = {};
  const stream: Record<string, Stream> = {};
  for (const operation of table.split("\n").map(readOperation)) {
    const { id, sse, paginated } = operation;
    if (!mayCall(operation, options.auth.type)) continue;
    if (sse) {
      stream[id] = (input = {}) => lazyStream(transport, operation, input);
      continue;
    }
    operations[id] = (input = {}) => transport.call(operation, input);
    const method = (input: CallInput = {}) => callOrThrow(transport, operation, input);
    operationsPromise[id] = method;
    if (paginated) lists[id] = (input, options) => paginate(id, method, input, options);
  }
  const surfaces = { operationsPromise, operations, paginate: lists, stream };
  const triggerAndWait =
    (id: string): TriggerAndWait =>
    async (input, options) =>
      (await import("./wait.ts")).triggerAndWait(surfaces, lateErrors, id, input, options);
  return {
    ...surfaces,
    paths: lazyPaths(async () => (await import("./paths.ts")).createPaths(transport, refuseInput)),
    ...(options.auth.type === "runToken"
      ? noWaiting
      : {
          waitUntil: async (target, options) =>
            (await import("./wait.ts")).waitUntil(surfaces, lateErrors, target, options),
          triggerAndWait: triggerAndWait("postV1JobsByJobIDTrigger"),
          triggerWorkflowAndWait: triggerAndWait("postV1WorkflowsByWorkflowIDTrigger"),
        }),
  };
}

const noWaiting = { waitUntil: undefined, triggerAndWait: undefined, triggerWorkflowAndWait: undefined };

function lazyStream(transport: Transport, operation: Operation, input: StreamInput): EventStream<unknown> {
  return {
    async *[Symbol.asyncIterator]() {
      const { followStream } = await import("./stream.ts");
      yield* followStream(transport, lateErrors, operation, input);
    },
  };
}

function mayCall({ auth }: Operation, type: AuthType): boolean {
  return auth === 0 || (auth & authFlags[type]) !== 0;
}

/** Resolves with the body of a success; throws the error of any other answer. */
async function callOrThrow(transport: Transport, operation: Operation, input: CallInput): Promise<unknown> {
  const answer = await transport.call(operation, input);
  if (answer.ok) return answer.data;
  throw answer.error;
}
