import type { ErrorClass, RetryStrategy } from "@strait/contract";
import { findJsonProblem } from "@strait/core";
import { classOfNetworkError, classOfStatus, usesFallback } from "../domain/error-class.ts";
import { endpointAnswered, endpointUnreachable } from "../domain/reasons.ts";
import { afterRunFailure } from "../domain/run-retry.ts";
import type { RunOutcome } from "../service/finish-run.ts";
import type { CallResult } from "./outbound.ts";

/** Why a call did not do what it should. */
export interface Failure {
  readonly error_class: ErrorClass;
  readonly message: string;
}

type Ended = Omit<RunOutcome, "project_id" | "id" | "dispatch_seq" | "stands_alone">;
type Answer = Extract<CallResult, { kind: "answer" }>;

/** What the run's own error may show of an answer. */
const MAX_EXCERPT = 500;

/** Undefined: the endpoint answered 2xx. */
export function failureOf(result: CallResult): Failure | undefined {
  switch (result.kind) {
    case "answer":
      if (result.status >= 200 && result.status < 300) return undefined;
      return {
        error_class: classOfStatus(result.status),
        message: endpointAnswered(result.status, excerpt(result.body)),
      };
    case "too_large":
      return { error_class: "client", message: "the endpoint's answer is larger than MAX_RESULT_SIZE" };
    case "timeout":
      return { error_class: "timeout", message: "the endpoint did not answer within the job's timeout_secs" };
    case "aborted":
      return { error_class: "unknown", message: "the call was aborted" };
    case "error":
      return {
        error_class: classOfNetworkError(result.code),
        message: endpointUnreachable(result.message || result.code),
      };
  }
}

/** Whether the job's second endpoint may answer where the first did not. */
export function isWorthFallback(result: CallResult): boolean {
  const failure = failureOf(result);
  return failure !== undefined && usesFallback(failure.error_class);
}

/**
 * What a 2xx answer means. `Strait-Outcome: waiting`: the executor has parked the run. 202: it has, or it goes on by
 * itself. Any other completes the run with the body as its result; unless its wait took an event that was there already and the
 * executor does not say, with `Strait-Outcome: completed`, that it went on with it.
 */
export function outcomeOfAnswer({ status, headers, body }: Answer): Ended | "parked" | "goes on" {
  const outcome = headers["strait-outcome"];
  if (outcome === "waiting") return "parked";
  if (status === 202) return "goes on";
  return { move: "complete", result: asJson(body), unless_taken: outcome !== "completed" };
}

/** What a failed call means for its run, by the job's retry policy. */
export function outcomeOfFailure(
  run: {
    readonly attempt: number;
    readonly max_attempts: number;
    readonly retry_strategy: string;
    readonly retry_delays_secs: readonly number[];
  },
  failure: Failure,
  retryable?: boolean,
): Ended {
  const after = afterRunFailure(
    {
      attempt: run.attempt,
      maxAttempts: run.max_attempts,
      errorClass: failure.error_class,
      strategy: run.retry_strategy as RetryStrategy,
      delaysSecs: run.retry_delays_secs,
      retryable,
    },
    Math.random(),
  );
  const told = { error: failure.message, error_class: failure.error_class };
  if (after.move === "retry") return { ...told, move: "retry", delay_ms: after.delayMs };
  return { ...told, move: after.move };
}

/** What is not JSON, or JSON that nobody could read again, is kept as a string. */
function asJson(body: string): string {
  if (body === "") return "null";
  try {
    return findJsonProblem(JSON.parse(body)) === undefined ? body : JSON.stringify(body);
  } catch {
    return JSON.stringify(body);
  }
}

function excerpt(body: string): string {
  // What PostgreSQL cannot store must not keep the failure from being recorded.
  const text = body.replaceAll("\0", "").trim().slice(0, MAX_EXCERPT);
  return Buffer.from(text).toString();
}
