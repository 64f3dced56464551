import type { StraitError } from "./errors.ts";
import type { LateErrors } from "./late-errors.ts";
import type { CallInput, EventStream, Paginator, StreamOptions } from "./runtime.ts";

/** Something that can be waited for: an event trigger (it has a key), a run or a workflow run, by its id. */
export interface Awaitable {
  readonly id: string;
  readonly event_key?: string | undefined;
}

/** When to stop waiting. */
export interface WaitOptions<State> extends StreamOptions {
  /** Ends the wait at the first state for which it holds. Default: the wait ends with what it waits for. */
  readonly until?: ((state: State) => boolean) | undefined;
}

/** The surfaces of a client that waiting is made of. */
interface WaitSurfaces {
  readonly operationsPromise: Readonly<Record<string, (input?: CallInput) => Promise<unknown>>>;
  readonly stream: Readonly<Record<string, (input?: CallInput & StreamOptions) => EventStream<unknown>>>;
  readonly paginate: Readonly<Record<string, (input?: CallInput) => Paginator<unknown, unknown>>>;
}

interface State {
  readonly id: string;
}

/**
 * Follows the stream of an object until it has ended, or `until` holds, and gives the last state. Nothing is polled.
 *
 * @throws {StraitError} When the stream throws.
 */
export async function waitUntil(
  { stream, paginate }: WaitSurfaces,
  { ProtocolError }: LateErrors,
  target: Awaitable,
  { until, ...options }: WaitOptions<never> = {},
): Promise<unknown> {
  const holds = until as ((state: unknown) => boolean) | undefined;
  const { id, event_key: eventKey } = target;
  let last: State | undefined;
  for await (const { data } of follow()) {
    last = data as State;
    // The key has a later wait, which is another story: this one has ended before.
    if (last.id !== id) return findTrigger();
    if (holds?.(data)) return data;
  }
  // A stream that is over from the start, at the cursor that was passed in, says nothing more.
  if (last === undefined) throw failed(`there is nothing more to come of ${id} behind lastEventId`);
  return last;

  function follow(): EventStream<unknown> {
    const [operation, pathParams] =
      eventKey !== undefined
        ? ["getV1EventsByEventKeyStream", { eventKey }]
        : id.startsWith("wfr_")
          ? ["getV1WorkflowRunsByWorkflowRunIDStream", { workflowRunID: id }]
          : ["getV1RunsByRunIDStream", { runID: id }];
    const open = stream[operation];
    if (!open) throw failed("the credential of the client may not open streams");
    return open({ ...options, pathParams });
  }

  async function findTrigger(): Promise<unknown> {
    const { signal, timeoutMs, deadlineMs } = options;
    const input = { query: { prefix: eventKey, limit: 100 }, signal, timeoutMs, deadlineMs };
    for await (const trigger of paginate.getV1Events?.(input) ?? []) if ((trigger as State).id === id) return trigger;
    throw failed(`${id} is not there any more`);
  }

  function failed(message: string): StraitError {
    return new ProtocolError(message, { operationId: "waitUntil", attempts: 0 });
  }
}

/**
 * Triggers a job or a workflow and waits for the run.
 *
 * @throws {StraitError} When triggering or waiting throws; a `ValidationError` for a dry run, which makes no run.
 */
export async function triggerAndWait(
  surfaces: WaitSurfaces,
  errors: LateErrors,
  operationId: string,
  input: CallInput,
  options?: WaitOptions<never>,
): Promise<unknown> {
  const answer = await surfaces.operationsPromise[operationId]?.(input);
  if (typeof answer === "object" && answer && "id" in answer)
    return waitUntil(surfaces, errors, answer as State, options);
  const message = "body.dry_run must be left out: a dry run makes nothing to wait for";
  throw new errors.ValidationError(message, { operationId, attempts: 1, field: "body.dry_run" });
}
