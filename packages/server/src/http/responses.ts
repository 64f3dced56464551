import { randomUUID } from "node:crypto";
import { errorStatus, type OperationId, operations } from "@strait/contract";
import type { Context as HonoContext } from "hono";
import { StraitError, unavailable } from "../domain/errors.ts";
import { isBusy, isConnectionLoss } from "../store/database.ts";
import { envelope, headersOf, refusalHeaders } from "../wire/envelope.ts";
import { requestHeaders } from "./request-headers.ts";

export const EXPOSED = "X-Request-Id, Idempotency-Replayed, Retry-After";
const OPEN_ORIGIN = { "access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED } as const;

/** What all answers depend on. */
export interface ResponseOptions {
  readonly allowedOrigins: readonly string[];
  readonly onError: (error: unknown, request: { readonly requestId: string; readonly operation: string }) => void;
}

export function isOpen({ allowedOrigins }: ResponseOptions): boolean {
  return allowedOrigins.includes("*");
}

/** What every answer to one request tells. */
export interface Reply {
  readonly id: string;
  readonly isCrossOrigin: boolean;
}

export function replyTo(c: HonoContext): Reply {
  return { id: randomUUID(), isCrossOrigin: requestHeaders(c)("origin") !== undefined };
}

interface Plain {
  readonly status: number;
  readonly text: string | null;
}

/** A handler's answer as status and text. Operations with several success statuses name theirs. */
export function plain(id: OperationId, result: unknown): Plain {
  const { success, media } = operations[id];
  const [status = 200] = success;
  if (media === "none") return { status, text: null };
  if (success.length > 1) {
    const { status: chosen, body } = result as { status: number; body: unknown };
    return { status: chosen, text: JSON.stringify(body) };
  }
  return { status, text: JSON.stringify(result ?? null) };
}

export function respond(options: ResponseOptions, id: OperationId, result: unknown, reply: Reply): Response {
  const { status, text } = plain(id, result);
  const isReplayed = typeof result === "object" && result !== null && "replayed" in result;
  return jsonResponse(options, status, text, reply, isReplayed);
}

export function jsonResponse(
  options: ResponseOptions,
  status: number,
  text: string | null,
  reply: Reply,
  isReplayed: boolean,
): Response {
  const headers = headersFor(options, reply);
  if (isReplayed) headers["idempotency-replayed"] = "true";
  if (text !== null) headers["content-type"] = "application/json";
  return new Response(text, { status, headers });
}

export function headersFor(options: ResponseOptions, { id, isCrossOrigin }: Reply): Record<string, string> {
  const headers = headersOf(id);
  return isCrossOrigin && isOpen(options) ? Object.assign(headers, OPEN_ORIGIN) : headers;
}

const RETRY_SOON = { retryAfterSecs: 1 } as const;

/** Anything that is not ours is a bug or an outage: it is logged, and says nothing to the caller. */
export function toStraitError(
  { onError }: ResponseOptions,
  error: unknown,
  reply: Reply,
  operation: string,
): StraitError {
  if (error instanceof StraitError) {
    // Without a cause it is said on purpose: the server stops.
    if (errorStatus[error.code] >= 500 && error.cause !== undefined)
      onError(error.cause, { requestId: reply.id, operation });
    return error;
  }
  onError(error, { requestId: reply.id, operation });
  if (isConnectionLoss(error)) return unavailable("the database cannot be reached now; try again", RETRY_SOON);
  if (isBusy(error)) return unavailable("the database is busy with what this request needs; try again", RETRY_SOON);
  return new StraitError("internal_error", "something went wrong in the server; its log has more under the request id");
}

export function errorResponse(options: ResponseOptions, error: StraitError, reply: Reply): Response {
  const headers = Object.assign(headersFor(options, reply), refusalHeaders(error));
  headers["content-type"] = "application/json";
  return new Response(envelope(error, reply.id), { status: errorStatus[error.code], headers });
}
