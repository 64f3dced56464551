import type { ErrorCode } from "@strait/contract";

// Classes are told apart by `_tag`, a getter of the prototype: it is right already while the stack is captured,
// survives minifiers, and works where two copies of this package meet, which `instanceof` does not.

const brand = Symbol.for("@strait/ts/error");

/** The call that failed. */
export interface ErrorContext {
  readonly operationId: string;
  /** Requests that were sent, the last one included; 0 when the call failed before the first. */
  readonly attempts: number;
  readonly cause?: unknown;
}

/**
 * Everything that a call can throw. Credentials of the client never appear in it: where an answer repeats one, it is
 * replaced by `[redacted]`.
 */
export class StraitError extends Error {
  readonly operationId: string;
  /** Requests that were sent, the last one included; 0 when the call failed before the first. */
  readonly attempts: number;

  constructor(message: string, { operationId, attempts, cause }: ErrorContext) {
    super(message, cause === undefined ? undefined : { cause });
    this.operationId = operationId;
    this.attempts = attempts;
  }

  get _tag(): string {
    return "StraitError";
  }

  override get name(): string {
    return this._tag;
  }

  get [brand](): true {
    return true;
  }

  /** The fields that are worth a log line; the cause, the stack and response headers are left out. */
  toJSON(): Record<string, unknown> {
    return { _tag: this._tag, message: this.message, operationId: this.operationId, attempts: this.attempts };
  }
}

/** The answer behind an `ApiError`. */
export interface ErrorAnswer extends ErrorContext {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
  readonly retryAfterMs: number | undefined;
}

/**
 * The server answered with a status outside 200 to 299. Each documented status has a class of its own;
 * `UnexpectedStatusError` stands for the others.
 */
export class ApiError<Body = unknown> extends StraitError {
  readonly status: number;
  /** The `error.code` of the answer; undefined when something else than Strait answered, such as a proxy. */
  readonly code: ErrorCode | (string & {}) | undefined;
  /** Names the request in the server's logs. */
  readonly requestId: string | undefined;
  /** Milliseconds that the server asked to wait before another attempt; undefined when it did not ask. */
  readonly retryAfterMs: number | undefined;
  readonly headers: Headers;
  /** The parsed body, or its text when it is not JSON; undefined when there was none. */
  readonly body: Body;

  constructor(answer: ErrorAnswer) {
    const { status, headers, body, retryAfterMs } = answer;
    const envelope = readEnvelope(body);
    const requestId = envelope.requestId ?? headers.get("x-request-id") ?? undefined;
    super(describeAnswer(answer, envelope, requestId), answer);
    this.status = status;
    this.code = envelope.code;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
    this.headers = headers;
    this.body = body as Body;
  }

  override get _tag(): ApiErrorTag {
    return "UnexpectedStatusError";
  }

  override toJSON(): Record<string, unknown> {
    const { status, code, requestId, retryAfterMs, body } = this;
    return { ...super.toJSON(), status, code, requestId, retryAfterMs, body };
  }
}

/** 400: the request breaks the contract; `body.error.details.issues` names the fields. */
export class BadRequestError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 400;
  override get _tag(): "BadRequestError" {
    return "BadRequestError";
  }
}

/** 401: the credential is missing, unknown, revoked or expired. */
export class UnauthorizedError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 401;
  override get _tag(): "UnauthorizedError" {
    return "UnauthorizedError";
  }
}

/** 403: the credential lacks a scope, which the message names. */
export class ForbiddenError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 403;
  override get _tag(): "ForbiddenError" {
    return "ForbiddenError";
  }
}

/** 404: there is no such object in the caller's project. */
export class NotFoundError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 404;
  override get _tag(): "NotFoundError" {
    return "NotFoundError";
  }
}

/** 409: the object's state does not allow it; `code` says why. */
export class ConflictError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 409;
  override get _tag(): "ConflictError" {
    return "ConflictError";
  }
}

/** 413: the body is above the server's limit. */
export class PayloadTooLargeError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 413;
  override get _tag(): "PayloadTooLargeError" {
    return "PayloadTooLargeError";
  }
}

/** 415: the body is not JSON. */
export class UnsupportedMediaTypeError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 415;
  override get _tag(): "UnsupportedMediaTypeError" {
    return "UnsupportedMediaTypeError";
  }
}

/** 422: the payload breaks a schema of its own, or an idempotency key came back with another body. */
export class UnprocessableError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 422;
  override get _tag(): "UnprocessableError" {
    return "UnprocessableError";
  }
}

/** 429: a rate, a quota or a budget is used up; `retryAfterMs` is set where waiting helps. */
export class RateLimitedError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 429;
  override get _tag(): "RateLimitedError" {
    return "RateLimitedError";
  }
}

/** 500 to 599: the server, or something in front of it, failed. */
export class ServerError<Body = unknown> extends ApiError<Body> {
  override get _tag(): "ServerError" {
    return "ServerError";
  }
}

/** A status that the API does not document, such as a redirect. */
export class UnexpectedStatusError<Body = unknown> extends ApiError<Body> {
  override get _tag(): "UnexpectedStatusError" {
    return "UnexpectedStatusError";
  }
}

/** No answer arrived: the connection was refused, reset or cut. `cause` is what `fetch` threw. */
export class ConnectionError extends StraitError {
  override get _tag(): "ConnectionError" {
    return "ConnectionError";
  }
}

/** The time of an attempt (`timeoutMs`) or of the whole call (`deadlineMs`) was up. */
export class TimeoutError extends StraitError {
  /** Which of the two limits it was. */
  readonly limit: "timeoutMs" | "deadlineMs";

  constructor(message: string, context: ErrorContext & { readonly limit: "timeoutMs" | "deadlineMs" }) {
    super(message, context);
    this.limit = context.limit;
  }

  override get _tag(): "TimeoutError" {
    return "TimeoutError";
  }
}

/** The caller's `signal` ended the call; `cause` is the signal's reason. */
export class AbortError extends StraitError {
  override get _tag(): "AbortError" {
    return "AbortError";
  }
}

/** A successful answer that is not JSON: usually a proxy or a wrong `baseUrl`. */
export class DecodeError extends StraitError {
  readonly status: number;
  readonly requestId: string | undefined;
  /** The answer as text. */
  readonly body: string;

  constructor(
    message: string,
    context: ErrorContext & { readonly status: number; readonly requestId: string | undefined; readonly body: string },
  ) {
    super(message, context);
    this.status = context.status;
    this.requestId = context.requestId;
    this.body = context.body;
  }

  override get _tag(): "DecodeError" {
    return "DecodeError";
  }

  override toJSON(): Record<string, unknown> {
    const { status, requestId, body } = this;
    return { ...super.toJSON(), status, requestId, body };
  }
}

/** The input cannot be sent, so nothing was: the fault is in the call. */
export class ValidationError extends StraitError {
  /** Where the fault is, such as `pathParams.eventKey`. */
  readonly field: string;

  constructor(message: string, context: ErrorContext & { readonly field: string }) {
    super(message, context);
    this.field = context.field;
  }

  override get _tag(): "ValidationError" {
    return "ValidationError";
  }

  override toJSON(): Record<string, unknown> {
    return { ...super.toJSON(), field: this.field };
  }
}

/** Every kind of `ApiError`. */
export type AnyApiError =
  | BadRequestError
  | UnauthorizedError
  | ForbiddenError
  | NotFoundError
  | ConflictError
  | PayloadTooLargeError
  | UnsupportedMediaTypeError
  | UnprocessableError
  | RateLimitedError
  | ServerError
  | UnexpectedStatusError;

/** Everything that a call can throw, as a union that narrows by `_tag`. */
export type AnyStraitError = AnyApiError | ConnectionError | TimeoutError | AbortError | DecodeError | ValidationError;

type ApiErrorTag =
  | "BadRequestError"
  | "UnauthorizedError"
  | "ForbiddenError"
  | "NotFoundError"
  | "ConflictError"
  | "PayloadTooLargeError"
  | "UnsupportedMediaTypeError"
  | "UnprocessableError"
  | "RateLimitedError"
  | "ServerError"
  | "UnexpectedStatusError";

/** Whether a caught value is an error of this package, or of another copy of it; afterwards `_tag` narrows it. */
export function isStraitError(value: unknown): value is AnyStraitError {
  return typeof value === "object" && value !== null && brand in value;
}

const classes: Readonly<Record<number, typeof ApiError>> = {
  400: BadRequestError,
  401: UnauthorizedError,
  403: ForbiddenError,
  404: NotFoundError,
  409: ConflictError,
  413: PayloadTooLargeError,
  415: UnsupportedMediaTypeError,
  422: UnprocessableError,
  429: RateLimitedError,
};

/** The error for an answer, in the class of its status. */
export function toApiError(answer: ErrorAnswer): ApiError {
  const Class = classes[answer.status] ?? (answer.status >= 500 ? ServerError : UnexpectedStatusError);
  return new Class(answer);
}

interface Envelope {
  readonly code: string | undefined;
  readonly message: string | undefined;
  readonly requestId: string | undefined;
}

/** Reads `{ error: { code, message }, request_id }` as far as it is there: a proxy answers what it likes. */
function readEnvelope(body: unknown): Envelope {
  const error = member(body, "error");
  return {
    code: text(member(error, "code")),
    message: text(member(error, "message")),
    requestId: text(member(body, "request_id")),
  };
}

function member(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function describeAnswer(answer: ErrorAnswer, envelope: Envelope, requestId: string | undefined): string {
  const what = envelope.message ?? describeRedirect(answer) ?? "no message";
  const code = envelope.code ? ` ${envelope.code}` : "";
  const request = requestId ? ` [${requestId}]` : "";
  return `${answer.operationId}: ${answer.status}${code}: ${what}${request}`;
}

/** Redirects are not followed. Browsers hide where they lead, and even their status, which then is 0. */
function describeRedirect({ status, headers }: ErrorAnswer): string | undefined {
  if (status !== 0 && (status < 300 || status >= 400)) return undefined;
  const location = headers.get("location");
  return `redirected${location ? ` to ${location}` : ""}; set baseUrl to where the API is`;
}
