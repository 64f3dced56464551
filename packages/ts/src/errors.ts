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
 *
 * @typeParam Facts - What the class is made with beside the call; each of them is a field of the error.
 */
export class StraitError<Facts extends object = object> extends Error {
  declare readonly operationId: string;
  /** Requests that were sent, the last one included; 0 when the call failed before the first. */
  declare readonly attempts: number;

  constructor(message: string, context: ErrorContext & Facts) {
    const { cause, ...facts } = context;
    super(`${facts.operationId}: ${message}`, cause === undefined ? undefined : { cause });
    Object.assign(this, facts);
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
    const json: Record<string, unknown> = { _tag: this._tag, message: this.message };
    return Object.assign(json, this, { headers: undefined });
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
  declare readonly status: number;
  /** The `error.code` of the answer; undefined when something else than Strait answered, such as a proxy. */
  declare readonly code: ErrorCode | (string & {}) | undefined;
  /** Names the request in the server's logs. */
  declare readonly requestId: string | undefined;
  /** Milliseconds that the server asked to wait before another attempt; undefined when it did not ask. */
  declare readonly retryAfterMs: number | undefined;
  declare readonly headers: Headers;
  /** The parsed body, or its text when it is not JSON; undefined when there was none. */
  declare readonly body: Body;

  constructor(answer: ErrorAnswer) {
    const { status, headers, body } = answer;
    const { error, request_id } = Object(body) as Record<string, unknown>;
    const { code, message } = Object(error) as Record<string, unknown>;
    const requestId = text(request_id) ?? headers.get("x-request-id") ?? undefined;
    const what = text(message) ?? describeStranger(headers);
    const facts = { ...answer, code: text(code), requestId };
    super(`${status}${facts.code ? ` ${code}` : ""}: ${what}${requestId ? ` [${requestId}]` : ""}`, facts);
  }

  override get _tag(): string {
    return "ApiError";
  }
}

/** No answer arrived: the connection was refused, reset or cut. `cause` is what `fetch` threw. */
export class ConnectionError extends StraitError {
  override get _tag(): "ConnectionError" {
    return "ConnectionError";
  }
}

/** The time of an attempt (`timeoutMs`) or of the whole call (`deadlineMs`) was up. */
export class TimeoutError extends StraitError<{ readonly limit: "timeoutMs" | "deadlineMs" }> {
  /** Which of the two limits it was. */
  declare readonly limit: "timeoutMs" | "deadlineMs";

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
export class DecodeError extends StraitError<{
  readonly status: number;
  readonly requestId: string | undefined;
  readonly body: string;
}> {
  declare readonly status: number;
  declare readonly requestId: string | undefined;
  /** The answer as text. */
  declare readonly body: string;

  override get _tag(): "DecodeError" {
    return "DecodeError";
  }
}

/**
 * The input cannot be sent, so nothing was: the fault is in the call, and `attempts` is 0. Or, where `validate` asks for it,
 * an answer does not fit the contract: `attempts` is 1 or more, and `cause` lists all that is wrong.
 */
export class ValidationError extends StraitError<{ readonly field: string }> {
  /** Where the fault is, such as `pathParams.eventKey` or `answer.data[0].status`. */
  declare readonly field: string;

  override get _tag(): "ValidationError" {
    return "ValidationError";
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

/** A proxy answers what it likes. */
function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Something else than Strait has answered. Redirects are not followed; browsers hide even their status, which then is 0. */
function describeStranger(headers: Headers): string {
  const location = headers.get("location");
  return `${location ? `redirected to ${location}` : "no message"}; is baseUrl right?`;
}
