import { ValidationError } from "./errors.ts";
import { type Config, headerFault, limitFault } from "./options.ts";
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
  const headers: Record<string, string> = {};
  if (input.headers) addHeaders(id, headers, input.headers);
  const body = encodeBody(id, input.body);
  if (body !== undefined) headers["content-type"] = "application/json";
  const isSafe = addIdempotencyKey(id, method, headers, input.idempotencyKey);
  const retries = limit(id, "retries", input.retries, config.retries);
  const { validate } = input;
  if (validate && !config.validator) throw invalidInput(id, "validate", "needs a validator");
  return {
    operationId: id,
    url: config.baseUrl + buildPath(id, operation.path, input.pathParams) + buildQuery(id, input.query),
    method,
    headers,
    body,
    isPublic: operation.auth === 0,
    signal: input.signal,
    retries: isSafe ? retries : 0,
    timeoutMs: limit(id, "timeoutMs", input.timeoutMs, config.timeoutMs),
    deadlineAt: now + limit(id, "deadlineMs", input.deadlineMs, config.deadlineMs),
    validate,
    attempts: 0,
    tries: 0,
    hasRefreshed: false,
  };
}

/** The error for an input that cannot be sent; `wrong` ends the sentence that `field` begins. */
function invalidInput(operationId: string, field: string, wrong: string): ValidationError {
  return new ValidationError(`${operationId}: ${field} ${wrong}`, { operationId, attempts: 0, field });
}

function addHeaders(id: string, headers: Record<string, string>, added: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(added)) {
    if (value === undefined || value === null) continue;
    const wrong = headerFault(name, String(value));
    if (wrong) throw invalidInput(id, `headers["${name}"]`, wrong);
    headers[name.toLowerCase()] = String(value);
  }
}

/** Puts the values into a path. @throws {ValidationError} When one of them would lead elsewhere. */
export function buildPath(id: string, path: string, params: object | undefined): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodePathValue(id, name, params && Reflect.get(params, name)),
  );
}

function encodePathValue(id: string, name: string, value: unknown): string {
  const field = `pathParams.${name}`;
  if (value === undefined || value === null) throw invalidInput(id, field, "is missing");
  if (value === "" || value === "." || value === "..") {
    throw invalidInput(id, field, `must not be "${value}": URLs swallow it, and another operation would be called`);
  }
  if (typeof value !== "string" && typeof value !== "number") throw invalidInput(id, field, "must be a string");
  return encodeText(id, field, value);
}

/** An array repeats its name; what is undefined or null is left out. */
function buildQuery(id: string, query: object | undefined): string {
  let text = "";
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null) continue;
      text += `${text ? "&" : "?"}${encodeURIComponent(name)}=${encodeText(id, `query.${name}`, item)}`;
    }
  }
  return text;
}

function encodeText(id: string, field: string, value: string | number | boolean): string {
  try {
    return encodeURIComponent(value);
  } catch {
    throw invalidInput(id, field, "holds half of a surrogate pair, which a URL cannot carry");
  }
}

function encodeBody(id: string, body: unknown): string | undefined {
  try {
    return JSON.stringify(body);
  } catch (error) {
    throw invalidInput(id, "body", `cannot be written as JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/** Sees to the `Idempotency-Key` of a POST. False means that a repetition of the request would not be safe. */
export function addIdempotencyKey(
  id: string,
  method: string,
  headers: Record<string, string>,
  key: string | false | undefined,
): boolean {
  if (method !== "POST") return method !== "PATCH";
  if (headers["idempotency-key"] !== undefined || headers["x-idempotency-key"] !== undefined) return true;
  if (key === false) return false;
  if (key !== undefined && !/^[\x20-\x7e]{1,256}$/.test(key)) {
    throw invalidInput(id, "idempotencyKey", "must be 1 to 256 printable ASCII characters, or false");
  }
  headers["idempotency-key"] = key ?? newIdempotencyKey();
  return true;
}

function newIdempotencyKey(): string {
  // Browsers have randomUUID only on secure origins, which a server on the local network is not.
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function limit(id: string, name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  const wrong = limitFault(name, value);
  if (wrong) throw invalidInput(id, name, wrong);
  return value;
}
