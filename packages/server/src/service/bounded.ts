import { createContext, Script } from "node:vm";

const context: { work?: () => unknown } = {};
createContext(context);
const script = new Script("work()");

/** For so long a customer's code that has taken too long is given a tenth of its time, and then a tenth of that. */
const MEMORY_MS = 10_000;
const MAX_REMEMBERED = 1_000;
const slow = new Map<string, { readonly limit: number; readonly until: number }>();

/**
 * Runs code that a customer has a say in, such as the patterns of a schema, for at most `ms` milliseconds: it blocks this
 * process, and an expression of a few characters can take for ever. V8 is stopped at the limit, also within a regular
 * expression. Costs about a tenth of a millisecond. Code that was stopped a moment ago gets less, so that a request which
 * runs it a thousand times blocks the process hardly longer than one that does so once.
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
  const timeout = timeFor(code, ms);
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
  }
}

function timeFor(code: string, ms: number): number {
  const known = slow.get(code);
  if (known === undefined) return ms;
  if (performance.now() < known.until) return known.limit;
  slow.delete(code);
  return ms;
}
