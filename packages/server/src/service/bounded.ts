import { createContext, Script } from "node:vm";

const context: { work?: () => unknown } = {};
createContext(context);
const script = new Script("work()");

/** Milliseconds that all such code may take in a row, and the share of the time that it may take for ever. */
const BURST_MS = 1_000;
const SHARE = 0.25;
/** What each piece has even then: far more than an honest one needs, and little enough for hundreds of others. */
const LEAST_MS = 10;

let leftMs = BURST_MS;
let countedMs = performance.now();

/** Notes what has passed; what is left then. */
function left(spentMs: number): number {
  const now = performance.now();
  leftMs = Math.min(BURST_MS, Math.max(0, leftMs + (now - countedMs) * SHARE - spentMs));
  countedMs = now;
  return leftMs;
}

/**
 * Runs code that a customer has a say in, such as the patterns of a schema, for at most `ms` milliseconds: it blocks this
 * process, and an expression of a few characters can take for ever. V8 is stopped at the limit, also within a regular
 * expression. Costs about a tenth of a millisecond.
 *
 * Many pieces together would block it as well, and a process that is blocked is taken for dead: when they have used up
 * what they have in common, each is stopped after 10 ms.
 *
 * @param otherwise - What is returned when the time is over.
 */
export function bounded<Result, Otherwise>(ms: number, work: () => Result, otherwise: Otherwise): Result | Otherwise {
  const timeout = Math.max(LEAST_MS, Math.min(ms, Math.floor(left(0))));
  const started = performance.now();
  context.work = work;
  try {
    return script.runInContext(context, { timeout });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return otherwise;
    throw error;
  } finally {
    delete context.work;
    left(performance.now() - started);
  }
}
