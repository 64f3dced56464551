import type { ApiError, ErrorAnswer } from "./errors.ts";
import {
  BadRequestError,
  ConflictError,
  ForbiddenError,
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
export function toApiError(answer: ErrorAnswer, isRunToken: boolean): ApiError {
  const { status } = answer;
  const Class = classes[status] ?? (status >= 500 ? ServerError : UnexpectedStatusError);
  const error = new Class(answer);
  return isRunToken && status === 401 && error.code === "token_expired" ? new RunTokenExpiredError(answer) : error;
}
