import type { Call } from "./call.ts";
import type { Config } from "./options.ts";

const BASE_DELAY_MS = 500;
const MAX_DELAY_MS = 8_000;

/** Time and chance, which tests replace. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** A number from 0 up to 1, as `Math.random`. */
  random(): number;
  /** Resolves after `ms` milliseconds, or as soon as `signal` is aborted. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(finish, ms);
      function finish(): void {
        clearTimeout(timer);
        signal?.removeEventListener("abort", finish);
        resolve();
      }
      if (signal?.aborted) finish();
      else signal?.addEventListener("abort", finish);
    }),
};

/** Whether the same request may succeed later: the server was busy, failed, or asked for patience. */
export function isRetryable({ status, headers }: Response): boolean {
  return [408, 425, 429].includes(status) || status >= 500 || (status === 409 && headers.has("retry-after"));
}

/**
 * How long an answer asks to wait, in milliseconds from now: `retry-after-ms`, or `Retry-After` as seconds or as a
 * date. A date in the past is 0; undefined when the headers are missing or make no sense.
 */
export function readRetryAfter({ headers }: Response, clock: Clock): number | undefined {
  const value = headers.get("retry-after") ?? "";
  const seconds = decimal(value);
  const delayMs =
    decimal(headers.get("retry-after-ms") ?? "") ??
    (seconds === undefined ? Date.parse(value) - clock.now() : seconds * 1_000);
  return Number.isNaN(delayMs) ? undefined : Math.max(0, delayMs);
}

/**
 * Decides what follows a failed attempt that is worth repeating.
 *
 * The server's own wish is followed to the millisecond. Without one the wait is anything between 0 and a ceiling that
 * starts at 0.5 s and doubles up to 8 s ("full jitter"), so that many clients do not come back at the same moment.
 *
 * @param call - Has had 1 or more tries.
 * @param retryAfterMs - What the answer asked for; undefined when it did not, or when there was no answer.
 * @returns Milliseconds to wait, or undefined when the failure is final: no retries left, too long a wait, or no time.
 */
export function delayBeforeRetry(
  { tries, retries, deadlineAt }: Pick<Call, "tries" | "retries" | "deadlineAt">,
  { maxRetryAfterMs }: Pick<Config, "maxRetryAfterMs">,
  clock: Clock,
  retryAfterMs?: number,
): number | undefined {
  if (tries > retries || (retryAfterMs ?? 0) > maxRetryAfterMs) return undefined;
  const delayMs = retryAfterMs ?? clock.random() * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** (tries - 1));
  return clock.now() + delayMs < deadlineAt ? delayMs : undefined;
}

function decimal(text: string): number | undefined {
  return /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : undefined;
}
