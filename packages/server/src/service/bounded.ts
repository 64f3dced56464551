import { createContext, Script } from "node:vm";

const context: { work?: () => unknown } = {};
createContext(context);
const script = new Script("work()");

/**
 * Runs code that a customer has a say in, such as the patterns of a schema, for at most `ms` milliseconds: it blocks this
 * process, and an expression of a few characters can take for ever. V8 is stopped at the limit, also within a regular
 * expression. Costs about a tenth of a millisecond.
 *
 * @param otherwise - What is returned when the time is over.
 */
export function bounded<Result, Otherwise>(ms: number, work: () => Result, otherwise: Otherwise): Result | Otherwise {
  context.work = work;
  try {
    return script.runInContext(context, { timeout: ms });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return otherwise;
    throw error;
  } finally {
    delete context.work;
  }
}
