import type { ErrorClass } from "@strait/contract";

interface Traits {
  /** Whether another attempt may end better. */
  readonly isRetryable: boolean;
  /** Whether the fallback endpoint, if the job has one, may answer where this one did not. */
  readonly usesFallback: boolean;
}

// biome-ignore format: a table reads by column
const traits: Readonly<Record<ErrorClass, Traits>> = {
  rate_limited: { isRetryable: true,  usesFallback: true },
  auth:         { isRetryable: false, usesFallback: false },
  client:       { isRetryable: false, usesFallback: false },
  server:       { isRetryable: true,  usesFallback: false },
  transient:    { isRetryable: true,  usesFallback: true },
  connection:   { isRetryable: true,  usesFallback: true },
  timeout:      { isRetryable: true,  usesFallback: true },
  budget:       { isRetryable: false, usesFallback: false },
  reported:     { isRetryable: true,  usesFallback: false },
  lost:         { isRetryable: true,  usesFallback: false },
  unknown:      { isRetryable: true,  usesFallback: false },
};

/** Whether a failure of this class is worth another attempt, unless the executor said otherwise. */
export function isRetryable(errorClass: ErrorClass): boolean {
  return traits[errorClass].isRetryable;
}

/** Whether a failure of this class is a reason to call the job's fallback endpoint. */
export function usesFallback(errorClass: ErrorClass): boolean {
  return traits[errorClass].usesFallback;
}

/** The class of a dispatch that was answered, but not with 2xx. A redirect is never followed, so it is `unknown`. */
export function classOfStatus(httpStatus: number): ErrorClass {
  if (httpStatus === 429) return "rate_limited";
  if (httpStatus === 401 || httpStatus === 403) return "auth";
  if (httpStatus >= 400 && httpStatus < 500) return "client";
  return httpStatus >= 500 ? "server" : "unknown";
}

/** No connection, or one that broke: `code` of a Node.js system error or of an error of undici. */
const connectionCodes: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_SOCKET",
]);

/** The dispatch's deadline passed before the whole answer was there. */
const timeoutCodes: ReadonlySet<string> = new Set(["UND_ERR_BODY_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT"]);

/**
 * The class of a dispatch that was not answered.
 *
 * @param code - The `code` of the error, if it has one. An abort by our own deadline is `timeout`, which only the caller
 *   can tell from another abort.
 */
export function classOfNetworkError(code: string | undefined): ErrorClass {
  if (code === undefined) return "transient";
  if (timeoutCodes.has(code)) return "timeout";
  return connectionCodes.has(code) ? "connection" : "transient";
}
