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

  override get _tag(): string {
    return "ApiError";
  }

  override toJSON(): Record<string, unknown> {
    const { status, code, requestId, retryAfterMs, body } = this;
    return { ...super.toJSON(), status, code, requestId, retryAfterMs, body };
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

/**
 * The input cannot be sent, so nothing was: the fault is in the call, and `attempts` is 0. Or, where `validate` asks for it,
 * an answer does not fit the contract: `attempts` is 1 or more, and `cause` lists all that is wrong.
 */
export class ValidationError extends StraitError {
  /** Where the fault is, such as `pathParams.eventKey` or `answer.data[0].status`. */
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

/** The client's token provider failed, or gave something that no header can carry; `cause` is what it threw. */
export class TokenError extends StraitError {
  override get _tag(): "TokenError" {
    return "TokenError";
  }
}

/** A list or a stream broke its own rules: a cursor that leads back, or an event that is not JSON or too large. */
export class ProtocolError extends StraitError {
  override get _tag(): "ProtocolError" {
    return "ProtocolError";
  }
}

/** Whether a value was made by a `StraitError` class of this package, or of another copy of it. */
export function hasBrand(value: unknown): value is StraitError {
  return typeof value === "object" && value !== null && brand in value;
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
