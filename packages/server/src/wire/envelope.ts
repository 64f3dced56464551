import type { StraitError } from "../domain/errors.ts";

/** The headers of every answer. Credentials are given once, and logs keep URLs: nothing of it may be cached. */
export const headersOf = (requestId: string): Record<string, string> => ({
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-api-version": "v1",
  "x-request-id": requestId,
});

/** The body of every answer that refuses. */
export function envelope({ code, message, details }: StraitError, requestId: string): string {
  return JSON.stringify({ error: { code, message, details }, request_id: requestId });
}

/** The headers that a refusal adds: when it is worth trying again, and what kind of credentials are asked for. */
export function refusalHeaders({ code, details }: StraitError): Record<string, string> {
  const headers: Record<string, string> = {};
  if ("retry_after_secs" in details) headers["retry-after"] = String(details.retry_after_secs);
  if (code === "unauthorized") headers["www-authenticate"] = "Bearer";
  return headers;
}
