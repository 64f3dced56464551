import { messageOf, ValidationError } from "./errors.ts";
import { addHeaders, type Config, checkedLimit, type Refuse } from "./options.ts";
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

/** Puts the values into a path. @throws {ValidationError} When one of them would lead elsewhere. */
export function buildPath(refuse: Refuse, path: string, params: object | undefined): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value: unknown = params && Reflect.get(params, name);
    const field = `pathParams.${name}`;
    if ((typeof value === "string" || typeof value === "number") && !/^\.{0,2}$/.test(`${value}`)) {
      return encode(refuse, field, encodeURIComponent, value);
    }
    throw refuse(field, 'must be a text other than "", "." and "..", which lead to another operation');
  });
}

/** An array repeats its name; what is undefined or null is left out. */
function buildQuery(refuse: Refuse, query: object | undefined): string {
  let text = "";
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null) continue;
      text += `${text ? "&" : "?"}${encodeURIComponent(name)}=${encode(refuse, `query.${name}`, encodeURIComponent, item)}`;
    }
  }
  return text;
}

/** What cannot be written as text: half of a surrogate pair in a URL, a cycle or a bigint in a body. */
function encode<Value>(refuse: Refuse, field: string, write: (value: Value) => string, value: Value): string {
  try {
    return write(value);
  } catch (error) {
    throw refuse(field, `cannot be sent: ${messageOf(error)}`);
  }
}

/** Sees to the `Idempotency-Key` of a POST. False means that a repetition of the request would not be safe. */
export function addIdempotencyKey(
  refuse: Refuse,
  method: string,
  headers: Record<string, string>,
  key: string | false | undefined,
): boolean {
  if (method !== "POST") return method !== "PATCH";
  const name = "idempotency-key";
  if ((headers[name] ?? headers[`x-${name}`]) !== undefined) return true;
  if (key === false) return false;
  const value = key ?? newKey();
  if (!/^[\x20-\x7e]{1,256}$/.test(value)) {
    throw refuse("idempotencyKey", "must be 1 to 256 printable ASCII characters, or false");
  }
  headers[name] = value;
  return true;
}

function newKey(): string {
  // Browsers have randomUUID only on secure origins, which a server on the local network is not.
  return crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
}
