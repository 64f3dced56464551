import { createContext, Script } from "node:vm";

const context: { work?: () => unknown } = {};
createContext(context);
const script = new Script("work()");

/** For so long a customer's code that has taken too long is given a tenth of its time, and then a tenth of that. */
const MEMORY_MS = 10_000;
const MAX_REMEMBERED = 1_000;
const slow = new Map<string, { readonly limit: number; readonly until: number }>();

/** Milliseconds that all such code may take in a row, and the share of the time that it may take for ever. */
const BURST_MS = 1_000;
const SHARE = 0.25;
/** What each piece has even then: far more than an honest one needs, and little enough for hundreds of others. */
const LEAST_MS = 10;
let leftMs = BURST_MS;
let countedAt = performance.now();

/**
 * Runs code that a customer has a say in, such as the patterns of a schema, for at most `ms` milliseconds: it blocks this
 * process, and an expression of a few characters can take for ever. V8 is stopped at the limit, also within a regular
 * expression. Costs about a tenth of a millisecond. Code that was stopped a moment ago gets less, so that a request which
 * runs it a thousand times blocks the process hardly longer than one that does so once. Many different pieces would block
 * it as well, and a process that is blocked is taken for dead: what they have in common is limited too.
 *
 * @param code - What is run, as its text.
 * @param otherwise - What is returned when the time is over.
 */
export function bounded<Result, Otherwise>(
  ms: number,
  code: string,
  work: () => Result,
  otherwise: Otherwise,
): Result | Otherwise {
  const timeout = Math.min(timeFor(code, ms), Math.max(LEAST_MS, Math.floor(leftAfter(0))));
  const startedAt = performance.now();
  context.work = work;
  try {
    return script.runInContext(context, { timeout });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    if (slow.size === MAX_REMEMBERED) slow.clear();
    slow.set(code, { limit: Math.max(1, Math.floor(timeout / 10)), until: performance.now() + MEMORY_MS });
    return otherwise;
  } finally {
    delete context.work;
    leftAfter(performance.now() - startedAt);
  }
}

/** What is left of the time in common, once `spentMs` are taken off and the share of what has passed is added. */
function leftAfter(spentMs: number): number {
  const now = performance.now();
  leftMs = Math.min(BURST_MS, Math.max(0, leftMs + (now - countedAt) * SHARE - spentMs));
  countedAt = now;
  return leftMs;
}

function timeFor(code: string, ms: number): number {
  const known = slow.get(code);
  if (known === undefined) return ms;
  if (performance.now() < known.until) return known.limit;
  slow.delete(code);
  return ms;
}
