import type { ErrorCode, ErrorDetails, ErrorIssue, Scope } from "@strait/contract";

/**
 * A failure that the caller should see. Anything else that is thrown is a bug or an outage and reaches the client only
 * as `internal_error`.
 */
export class StraitError extends Error {
  override readonly name = "StraitError";
  readonly code: ErrorCode;
  /** Machine-readable context, sent to the client as is: never put a secret here. */
  readonly details: Readonly<ErrorDetails>;

  /** @param message - What is wrong, with which value, and what to do; no full stop at the end. */
  constructor(code: ErrorCode, message: string, options: { details?: Readonly<ErrorDetails>; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** At least one, the most important first. */
type Issues = readonly [ErrorIssue, ...ErrorIssue[]];

/** What a field is shown of, which has room for a pointer as deep as bodies may be: who sends a name of a megabyte knows it. */
const MAX_FIELD = 2_000;

/** The request breaks the contract. Name all issues at once. */
export function validationError([first, ...rest]: Issues): StraitError {
  const issues = [shortened(first), ...rest.map(shortened)] as const;
  return new StraitError("validation_error", inWords(issues), { details: { issues: [...issues] } });
}

const shortened = (issue: ErrorIssue): ErrorIssue =>
  issue.field.length > MAX_FIELD ? { ...issue, field: `${issue.field.slice(0, MAX_FIELD)}…` } : issue;

/** The request keeps the contract, but its payload does not fit the schema of the wait, the job or the event. */
export function payloadMismatch(issues: Issues): StraitError {
  return new StraitError("payload_mismatch", `the payload does not fit its schema: ${inWords(issues)}`, {
    details: { issues: [...issues] },
  });
}

/** Also for objects of another project, whose existence is nobody's business. */
export function notFound(resource: string, id: string): StraitError {
  const place = resource === "project" ? "" : " in this project";
  const message = `there is no ${resource} ${quote(id)}${place}; check the id, and whose credentials these are`;
  return new StraitError("not_found", message, { details: { resource, id } });
}

/** No operation has this method and path. */
export function noRoute(method: string, path: string): StraitError {
  return new StraitError("not_found", `there is no ${method} ${path}; the operations are in the API reference`);
}

/** Somebody waits on the key, but for another event. */
export function unheard(trigger: {
  readonly id: string;
  readonly event_key: string;
  readonly filter: string | null;
}): StraitError {
  const { id, event_key, filter } = trigger;
  const message =
    `no wait on event key ${quote(event_key)} takes this event: the filter of ${quote(id)} is not true of it, ` +
    `${filter}; correct the payload, or leave out if_no_waiter to keep the event`;
  return new StraitError("not_found", message, {
    details: { resource: "event trigger", id: event_key, trigger_id: id },
  });
}

export function conflict(message: string, details: Readonly<ErrorDetails> = {}): StraitError {
  return new StraitError("conflict", message, { details });
}

/** The status does not allow `move`, a name from the tables in `@strait/core`. */
export function illegalMove(resource: string, id: string, status: string, move: string): StraitError {
  return new StraitError("illegal_move", `${resource} ${quote(id)} is ${status}, so it cannot ${inSpaces(move)}`, {
    details: { resource, id, status, move },
  });
}

/** Another payload came first. Leave `sent_by` out where the caller may not know. */
export function alreadyResolved(trigger: {
  readonly id: string;
  readonly event_key: string;
  readonly received_at: string | null;
  readonly sent_by?: string | null;
}): StraitError {
  const { id, event_key, sent_by = null } = trigger;
  const received_at = String(trigger.received_at); // never null once the trigger has received
  const message = `event trigger ${quote(event_key)} received another payload at ${received_at}; read it to see which`;
  return new StraitError("already_resolved", message, {
    details: { trigger_id: id, event_key, status: "received", received_at, sent_by },
  });
}

/**
 * The latest wait on the key has ended, and nobody waits now.
 *
 * @param attempt - What cannot be done to it any more; `answered` for an event.
 */
export function waitClosed(
  trigger: {
    readonly id: string;
    readonly event_key: string;
    readonly status: string;
    readonly finished_at: string | null;
  },
  attempt: "answered" | "canceled" | "rejected" | "extended" = "answered",
): StraitError {
  const { id, event_key, status, finished_at } = trigger;
  const consequence =
    attempt === "answered"
      ? "so the event came too late; send it with for_next to keep it for the next wait on this key"
      : `so it can no longer be ${attempt}`;
  const message = `event trigger ${quote(event_key)} is ${status}, ${consequence}`;
  return new StraitError("wait_closed", message, { details: { trigger_id: id, event_key, status, finished_at } });
}

/** The sender meant a wait that has ended and that a purge has deleted since, with what became of it. */
export function waitDeleted(
  eventKey: string,
  { id, generation }: { readonly id: string; readonly generation: number },
): StraitError {
  const message =
    `generation ${generation} of event key ${quote(eventKey)} has ended, and what became of it has been deleted since; ` +
    "send without generation and trigger_id, or with for_next, to reach the next wait on this key";
  return new StraitError("wait_closed", message, { details: { trigger_id: id, event_key: eventKey, generation } });
}

/**
 * The sender meant another wait on this key than the latest.
 *
 * @param given - The generation or the trigger that was named.
 */
export function staleGeneration(eventKey: string, given: number | string, current: number): StraitError {
  const message =
    typeof given === "number"
      ? `event trigger ${quote(eventKey)} is at generation ${current}, not ${given}; ` +
        "send again with the current generation if that wait is meant"
      : `event trigger ${quote(eventKey)} is at generation ${current}, which is not the wait ${quote(given)}; ` +
        "send again with the current trigger_id if that wait is meant";
  return new StraitError("stale_generation", message, { details: { event_key: eventKey, generation: current, given } });
}

/** The call comes from a dispatch that was replaced: an executor that answers too late, or that was given up for dead. */
export function staleDispatch(runId: string, given: number, current: number): StraitError {
  const message = `dispatch ${given} of run ${quote(runId)} was replaced by dispatch ${current}; stop working on it`;
  return new StraitError("stale_dispatch", message, { details: { run_id: runId, dispatch_seq: current, given } });
}

/** The run has ended, so it takes nothing more. */
export function runClosed(runId: string, status: string): StraitError {
  const message = `run ${quote(runId)} is ${status}, which is final; trigger a new run instead`;
  return new StraitError("run_closed", message, { details: { run_id: runId, status } });
}

interface Waiter {
  readonly id: string;
  readonly event_key: string;
  readonly job_run_id: string | null;
  readonly workflow_run_id: string | null;
  readonly broadcast: boolean;
}

/** Somebody else waits on the key already. */
export function keyInUse(owner: Waiter): StraitError {
  return keyTaken(
    owner,
    `${waiterOf(owner)} already waits for event key ${quote(owner.event_key)}; cancel that wait, join or replace it with ` +
      "on_conflict, or add something unique, such as the run id, to the key",
  );
}

/** One wait on the key is for everybody, the other is not. */
export function mixedKey(owner: Waiter): StraitError {
  const how = owner.broadcast ? "with broadcast" : "without broadcast";
  return keyTaken(
    owner,
    `${waiterOf(owner)} waits for event key ${quote(owner.event_key)} ${how}; every wait on a key has to say the same`,
  );
}

function keyTaken({ id, event_key, job_run_id, workflow_run_id }: Waiter, message: string): StraitError {
  const waiter = job_run_id === null ? { workflow_run_id: String(workflow_run_id) } : { run_id: job_run_id };
  return new StraitError("key_in_use", message, { details: { trigger_id: id, event_key, ...waiter } });
}

const waiterOf = ({ job_run_id, workflow_run_id }: Waiter): string =>
  job_run_id === null ? `workflow run ${quote(String(workflow_run_id))}` : `run ${quote(job_run_id)}`;

/** What is there is not what the caller has seen; nothing was changed. */
export function expectationFailed(message: string, found: Readonly<ErrorDetails>): StraitError {
  return new StraitError("expectation_failed", message, { details: { ...found } });
}

/** @param what - Which part of the request: `body`, `result`, `payload`. */
export function payloadTooLarge(what: string, maxBytes: number): StraitError {
  const message = `the ${what} is larger than ${maxBytes} bytes; store it elsewhere and send a reference`;
  return new StraitError("payload_too_large", message, { details: { what, max_bytes: maxBytes } });
}

/** @param given - The request's `Content-Type`, if it had one. */
export function unsupportedMediaType(given: string | undefined): StraitError {
  const message = `the content type ${given === undefined ? "is missing" : `is ${quote(given)}`}; send application/json`;
  return new StraitError("unsupported_media_type", message, { details: { given: given ?? null } });
}

/** @param charset - What the `Content-Type` says of the body's encoding. */
export function unsupportedCharset(charset: string): StraitError {
  const message = `the charset is ${quote(charset)}; encode the body as UTF-8, and leave the charset out`;
  return new StraitError("unsupported_media_type", message, { details: { given: charset } });
}

/** @param coding - The request's `Content-Encoding`. */
export function unsupportedCoding(coding: string): StraitError {
  const message = `the content encoding is ${quote(coding)}; send the body as it is, without a Content-Encoding`;
  return new StraitError("unsupported_media_type", message, { details: { given: coding } });
}

/** By default it does not say why: a wrong key, a revoked one and none at all look the same from outside. */
export function unauthorized(
  message = "the credentials are missing or not valid; send `Authorization: Bearer` with an API key or a run token",
): StraitError {
  return new StraitError("unauthorized", message);
}

export function tokenExpired(expiredAt: string): StraitError {
  const message = `the token expired at ${expiredAt}; use the token of the latest dispatch, or ask for a new one`;
  return new StraitError("token_expired", message, { details: { expired_at: expiredAt } });
}

/** @param scope - The one that the credentials lack. */
export function forbidden(scope: Scope): StraitError {
  const message = `the API key lacks the scope ${quote(scope)}; use a key that has it`;
  return new StraitError("forbidden", message, { details: { scope } });
}

/** The token of one run, used for another one: every run has its own. */
export function foreignRunToken(): StraitError {
  return new StraitError("forbidden", "the run token is for another run; use the token of this run's dispatch");
}

/** @param id - The resource whose stream the token opens. */
export function otherStream(id: string): StraitError {
  return new StraitError("forbidden", `the token is for the stream of ${quote(id)}; ask for one for this stream`);
}

export function idempotencyMismatch(idempotencyKey: string): StraitError {
  const message = `idempotency key ${quote(idempotencyKey)} was used with another request; use a new key for a new one`;
  return new StraitError("idempotency_mismatch", message, { details: { idempotency_key: idempotencyKey } });
}

/** @param message - Of what there is too much. */
export function rateLimited(message: string, retryAfterSecs: number): StraitError {
  return new StraitError("rate_limited", `${message}; try again later`, {
    details: { retry_after_secs: retryAfterSecs },
  });
}

/** @param what - Of what there are as many as may be. */
export function quotaExceeded(what: string, limit: number): StraitError {
  const message = `the project has as many ${what} as it may, ${limit}; let some end, or have the limit raised`;
  return new StraitError("quota_exceeded", message, { details: { limit } });
}

/** The buffer of a key holds as many events as it may. */
export function bufferFull(eventKey: string, limit: number): StraitError {
  const message =
    `event key ${JSON.stringify(eventKey)} has as many buffered events as it may, ${limit}; open a wait that takes them, ` +
    "send with a shorter ttl_secs, or have the project's max_buffered_events_per_key raised";
  return new StraitError("quota_exceeded", message, { details: { event_key: eventKey, limit } });
}

/** The inbox of a run holds as many messages as it may that the run has not taken. */
export function inboxFull(runId: string, limit: number): StraitError {
  const message =
    `run ${runId} has as many unread messages as it may, ${limit}; let it receive some, ` +
    "or have the project's max_unread_messages_per_run raised";
  return new StraitError("quota_exceeded", message, { details: { run_id: runId, limit } });
}

/** @param options.retryAfterSecs - When it is worth trying again, if that is known. */
export function unavailable(message: string, options: { retryAfterSecs?: number; cause?: unknown } = {}): StraitError {
  return new StraitError("unavailable", message, {
    details: options.retryAfterSecs === undefined ? {} : { retry_after_secs: options.retryAfterSecs },
    cause: options.cause,
  });
}

/** The first issue, and how many more there are. */
function inWords([first, ...others]: Issues): string {
  const where = first.field === "" ? "the body" : first.field;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return `${where} breaks the rule ${first.rule}: ${first.fix}${more}`;
}

/** `timeOut` is written `time out`. */
function inSpaces(move: string): string {
  return move.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
