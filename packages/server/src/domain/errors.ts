import type { ErrorCode } from "@strait/contract";

/** One thing that is wrong with a request. */
export interface Issue {
  /** RFC 6901 pointer into the body, or the name of the query, path or header parameter. */
  readonly field: string;
  /** The rule that is broken, as a phrase that follows the field's name: `must be a duration`. */
  readonly rule: string;
  /** What to do about it, as an imperative. */
  readonly fix: string;
}

/** Machine-readable context of an error, sent to the client as is: never put a secret here. */
export interface ErrorDetails extends Readonly<Record<string, unknown>> {
  readonly issues?: readonly Issue[];
}

/**
 * A failure that the caller should see. Anything else that is thrown is a bug or an outage and reaches the client only
 * as `internal_error`.
 */
export class StraitError extends Error {
  override readonly name = "StraitError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  /** @param message - What is wrong, with which value, and what to do; no full stop at the end. */
  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** The request breaks the contract. Give all issues at once, the most important first. */
export function validationError(issues: readonly [Issue, ...Issue[]]): StraitError {
  return new StraitError("validation_error", inWords(issues), { details: { issues } });
}

/** The request keeps the contract, but its payload does not fit the schema that the wait, the job or the event names. */
export function payloadMismatch(issues: readonly [Issue, ...Issue[]]): StraitError {
  return new StraitError("payload_mismatch", `the payload does not fit its schema: ${inWords(issues)}`, {
    details: { issues },
  });
}

/** Also for objects of another project, whose existence is nobody's business. */
export function notFound(resource: string, id: string): StraitError {
  const message = `there is no ${resource} ${quote(id)} in this project; check the id and whose credentials these are`;
  return new StraitError("not_found", message, { details: { resource, id } });
}

export function conflict(message: string, details: ErrorDetails = {}): StraitError {
  return new StraitError("conflict", message, { details });
}

/** The thing's status does not allow `move`, a name from the tables in `@strait/core`. */
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
  const message = `event trigger ${quote(trigger.event_key)} has already received another payload; read it to see which`;
  const { id, event_key, received_at, sent_by = null } = trigger;
  return new StraitError("already_resolved", message, { details: { trigger_id: id, event_key, received_at, sent_by } });
}

/** The latest wait on the key ended without an event, and nobody waits now. */
export function waitClosed(trigger: {
  readonly id: string;
  readonly event_key: string;
  readonly status: string;
  readonly finished_at: string | null;
}): StraitError {
  const message =
    `event trigger ${quote(trigger.event_key)} is ${trigger.status}, so the event came too late; ` +
    "send it with for_next to keep it for the next wait on this key";
  const { id, event_key, status, finished_at } = trigger;
  return new StraitError("wait_closed", message, { details: { trigger_id: id, event_key, status, finished_at } });
}

/** The sender meant an earlier (or later) wait on this key. */
export function staleGeneration(eventKey: string, generation: number, current: number): StraitError {
  const message =
    `event trigger ${quote(eventKey)} is at generation ${current}, not ${generation}; ` +
    "send again with the current generation if this wait is meant";
  return new StraitError("stale_generation", message, { details: { event_key: eventKey, generation, current } });
}

/** The call comes from a dispatch that has been replaced: a zombie, or an executor that answers too late. */
export function staleDispatch(runId: string, dispatchSeq: number, current: number): StraitError {
  const message = `dispatch ${dispatchSeq} of run ${quote(runId)} was replaced by dispatch ${current}; stop working on it`;
  return new StraitError("stale_dispatch", message, {
    details: { run_id: runId, dispatch_seq: dispatchSeq, current },
  });
}

/** The run has ended, so it takes nothing more. */
export function runClosed(runId: string, status: string): StraitError {
  const message = `run ${quote(runId)} is ${status}, which is final; trigger a new run instead`;
  return new StraitError("run_closed", message, { details: { run_id: runId, status } });
}

/** Somebody else waits on the key already. */
export function keyInUse(owner: {
  readonly id: string;
  readonly event_key: string;
  readonly job_run_id: string | null;
  readonly workflow_run_id: string | null;
}): StraitError {
  const { id, event_key, job_run_id, workflow_run_id } = owner;
  const waiter = job_run_id === null ? `workflow run ${quote(String(workflow_run_id))}` : `run ${quote(job_run_id)}`;
  const message = `${waiter} already waits for event key ${quote(event_key)}; add something unique, such as the run id, to the key`;
  return new StraitError("key_in_use", message, {
    details: { trigger_id: id, event_key, job_run_id, workflow_run_id },
  });
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

/** Says nothing about why: a wrong key, a revoked one and none at all look the same from outside. */
export function unauthorized(
  message = "the credentials are missing or not valid; send `Authorization: Bearer` with an API key or a run token",
): StraitError {
  return new StraitError("unauthorized", message);
}

export function tokenExpired(expiredAt: string): StraitError {
  const message = `the token expired at ${expiredAt}; use the token of the latest dispatch, or a new one`;
  return new StraitError("token_expired", message, { details: { expired_at: expiredAt } });
}

/** @param scope - The one that is missing, such as `jobs:write`. */
export function forbidden(scope: string): StraitError {
  const message = `the API key lacks the scope ${quote(scope)}; use a key that has it`;
  return new StraitError("forbidden", message, { details: { scope } });
}

export function idempotencyMismatch(idempotencyKey: string): StraitError {
  const message = `idempotency key ${quote(idempotencyKey)} was used with another request; use a new key for a new request`;
  return new StraitError("idempotency_mismatch", message, { details: { idempotency_key: idempotencyKey } });
}

/** @param retryAfterSecs - Also sent as `Retry-After`, where waiting is known to help. */
export function unavailable(message: string, options: { retryAfterSecs?: number; cause?: unknown } = {}): StraitError {
  return new StraitError("unavailable", message, {
    details: options.retryAfterSecs === undefined ? {} : { retry_after_secs: options.retryAfterSecs },
    cause: options.cause,
  });
}

/** The first issue, and how many more there are. */
function inWords([first, ...others]: readonly [Issue, ...Issue[]]): string {
  const where = first.field === "" ? "the body" : first.field;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return `${where} ${first.rule}; ${first.fix}${more}`;
}

/** `timeOut` → `time out`. */
function inSpaces(move: string): string {
  return move.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
