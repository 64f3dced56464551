import { ValidationError } from "./errors.ts";
import { addHeaders, type Config, checkedLimit, type Refuse } from "./options.ts";
import { addIdempotencyKey, buildPath, buildQuery, encode } from "./request-parts.ts";
import type { CallInput, Operation, ValidateMode } from "./runtime.ts";

/** One call on its way: what every attempt sends, and how far it has come. */
export interface Call {
  readonly operationId: string;
  /** In full, with its query. */
  readonly url: string;
  readonly method: string;
  /** Over those of the client and the credential. */
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
  /** Goes without the credential. */
  readonly isPublic: boolean;
  readonly signal: AbortSignal | undefined;
  /** 0 when a repetition would not be safe. */
  readonly retries: number;
  readonly timeoutMs: number;
  /** Milliseconds since the epoch; Infinity when the call has no deadline. */
  readonly deadlineAt: number;
  /** Undefined for what the client does. */
  readonly validate: ValidateMode | undefined;
  /** Requests sent so far. */
  attempts: number;
  /** Attempts so far. A 401 that is answered with another token is part of one; a token that does not come is one. */
  tries: number;
  /** A 401 was answered with another token, which happens once in a call. */
  hasRefreshed: boolean;
}

/**
 * Turns the input of an operation into what every attempt sends.
 *
 * @param now - Milliseconds since the epoch, from which the deadline counts.
 * @throws {ValidationError} When something in the input cannot be sent.
 */
export function prepareCall(config: Config, operation: Operation, input: CallInput, now: number): Call {
  const { id, method } = operation;
  const refuse = refuseInput(id);
  const headers = addHeaders(refuse, {}, input.headers);
  const body = encode(refuse, "body", JSON.stringify, input.body) as string | undefined;
  if (body !== undefined) headers["content-type"] = "application/json";
  const isSafe = addIdempotencyKey(refuse, method, headers, input.idempotencyKey);
  const limit = (name: "retries" | "timeoutMs" | "deadlineMs"): number =>
    checkedLimit(refuse, name, input[name], config[name]);
  const retries = limit("retries");
  const { validate } = input;
  if (validate && !config.validator) throw refuse("validate", "needs a validator");
  return {
    operationId: id,
    url: config.baseUrl + buildPath(refuse, operation.path, input.pathParams) + buildQuery(refuse, input.query),
    method,
    headers,
    body,
    isPublic: operation.auth === 0,
    signal: input.signal,
    retries: isSafe ? retries : 0,
    timeoutMs: limit("timeoutMs"),
    deadlineAt: now + limit("deadlineMs"),
    validate,
    attempts: 0,
    tries: 0,
    hasRefreshed: false,
  };
}

/** Makes the errors for input that cannot be sent. */
export function refuseInput(operationId: string): Refuse {
  return (field, rule) => new ValidationError(`${field} ${rule}`, { operationId, attempts: 0, field });
}
