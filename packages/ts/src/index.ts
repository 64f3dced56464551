import { buildClient } from "./client.ts";
import type {
  BearerOperationsPromise,
  InternalSecretOperationsPromise,
  RunTokenOperationsPromise,
} from "./generated/client-types.ts";
import { operations } from "./generated/operations.ts";
import type { ClientOptions } from "./options.ts";
import type { AuthType } from "./runtime.ts";

export type {
  AnyApiError,
  AnyStraitError,
  ErrorAnswer,
  ErrorContext,
} from "./errors.ts";
export {
  AbortError,
  ApiError,
  BadRequestError,
  ConflictError,
  ConnectionError,
  DecodeError,
  ForbiddenError,
  isStraitError,
  NotFoundError,
  PayloadTooLargeError,
  RateLimitedError,
  ServerError,
  StraitError,
  TimeoutError,
  UnauthorizedError,
  UnexpectedStatusError,
  UnprocessableError,
  UnsupportedMediaTypeError,
  ValidationError,
} from "./errors.ts";
export type { BearerAuth, ClientOptions, Fetch, FetchInit, InternalSecretAuth, RunTokenAuth } from "./options.ts";
export type { AuthType, CallOptions } from "./runtime.ts";
export type { BearerOperationsPromise, InternalSecretOperationsPromise, RunTokenOperationsPromise };

/** Which operations each kind of credential may call. */
export interface OperationsPromises {
  readonly bearer: BearerOperationsPromise;
  readonly runToken: RunTokenOperationsPromise;
  readonly internalSecret: InternalSecretOperationsPromise;
}

/** A client of one server under one credential. It holds no connection and needs no closing. */
export interface Client<Type extends AuthType> {
  /**
   * Every operation that the credential may call, by its operation id. A method resolves with the body of the success
   * answer and throws a `StraitError` otherwise.
   */
  readonly operationsPromise: OperationsPromises[Type];
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
  return buildClient(operations, options) as unknown as Client<Type>;
}
