import {
  type AbortError,
  ApiError,
  type ConnectionError,
  type DecodeError,
  hasBrand,
  type ProtocolError,
  type TimeoutError,
  type TokenError,
  type ValidationError,
} from "./errors.ts";

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

/**
 * 401 `token_expired` to a client with a run token. There is nothing to refresh: the run was dispatched again or has
 * ended, and its new dispatch has a token of its own.
 */
export class RunTokenExpiredError<Body = unknown> extends ApiError<Body> {
  declare readonly status: 401;
  override get _tag(): "RunTokenExpiredError" {
    return "RunTokenExpiredError";
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

/** 429: a rate or a quota is used up; `retryAfterMs` is set where waiting helps. */
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

/** Every kind of `ApiError`. */
export type AnyApiError =
  | BadRequestError
  | UnauthorizedError
  | RunTokenExpiredError
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
export type AnyStraitError =
  | AnyApiError
  | ConnectionError
  | TimeoutError
  | AbortError
  | DecodeError
  | ValidationError
  | TokenError
  | ProtocolError;

/** The error of each status that the contract documents. */
export interface ErrorsByStatus<Body> {
  readonly 400: BadRequestError<Body>;
  readonly 401: UnauthorizedError<Body>;
  readonly 403: ForbiddenError<Body>;
  readonly 404: NotFoundError<Body>;
  readonly 409: ConflictError<Body>;
  readonly 413: PayloadTooLargeError<Body>;
  readonly 415: UnsupportedMediaTypeError<Body>;
  readonly 422: UnprocessableError<Body>;
  readonly 429: RateLimitedError<Body>;
}

/** Whether a caught value is an error of this package, or of another copy of it; afterwards `_tag` narrows it. */
export function isStraitError(value: unknown): value is AnyStraitError {
  return hasBrand(value);
}
