import { type ErrorCode, type ErrorDetails, type ErrorResponse, errorStatus } from "@strait/contract";

interface Failure<Code extends ErrorCode> {
  readonly status: (typeof errorStatus)[Code];
  readonly body: ErrorResponse;
}

/**
 * A refusal, for an override: the status that belongs to the code, and a body of the server's form. An operation that
 * never answers with this status does not take it.
 *
 * @param options.details - Such as `{ retry_after_secs: 2 }`, which is then in `Retry-After` too.
 */
export function failure<Code extends ErrorCode>(
  code: Code,
  { message = `refused as ${code}`, details = {} }: { message?: string; details?: ErrorDetails } = {},
): Failure<Code> {
  return { status: errorStatus[code], body: { error: { code, message, details }, request_id: "req_mock" } };
}

/** One reply after the other, a call each; then calls pass, as if there were no override. For what is tried again. */
export function inTurn<const Replies extends readonly unknown[]>(
  ...replies: Replies
): () => Replies[number] | undefined {
  let next = 0;
  return () => replies[next++];
}
