import { createContext, Script } from "node:vm";
import type { Bounded } from "../wire/bounded.ts";

const context: { work?: () => unknown } = {};
createContext(context);
const script = new Script("work()");

/** For so long a customer's code that has taken too long is given a tenth of its time, and then a tenth of that. */
const MEMORY_MS = 10_000;
const MAX_REMEMBERED = 1_000;
const MAX_TRIES = 3;
const MAX_PROJECTS = 10_000;

/** Time that fills up again: what may be taken in a row, and the share of the time that may be taken for ever. */
interface Allowance {
  readonly burstMs: number;
  readonly share: number;
  leftMs: number;
  countedAt: number;
}

const allowance = (burstMs: number, share: number): Allowance => ({
  burstMs,
  share,
  leftMs: burstMs,
  countedAt: performance.now(),
});

/** A process that is blocked is taken for dead. No project alone can use this up. */
const ofAll = allowance(3_000, 0.5);
const ofProject = () => allowance(1_000, 0.2);
/** What each piece has even then: far more than an honest one needs, and little enough for hundreds of others. */
const LEAST_MS = 10;

interface Customer {
  readonly allowance: Allowance;
  readonly slow: Map<string, { readonly limit: number; readonly until: number }>;
}
const customers = new Map<string, Customer>();

/**
 * Runs code that a customer has a say in, such as the patterns of a schema, for at most `ms` milliseconds: it blocks this
 * process, and an expression of a few characters can take for ever. V8 is stopped at the limit, also within a regular
 * expression. Costs about a tenth of a millisecond. Code that was stopped a moment ago gets less, so that a request which
 * runs it a thousand times blocks the process hardly longer than one that does so once. Many different pieces would block
 * it as well: what those of a project have in common is limited too, and what all projects do. One that has used up its
 * time takes none of the others'.
 *
 * @param code - What is run, as its text.
 * @param otherwise - What is returned when the time is over.
 */
export function bounded<Result, Otherwise>(
  { projectId, ms, code }: { readonly projectId: string; readonly ms: number; readonly code: string },
  work: () => Result,
  otherwise: Otherwise,
): Result | Otherwise {
  const customer = customerOf(projectId);
  const left = Math.floor(Math.min(leftAfter(customer.allowance, 0), leftAfter(ofAll, 0)));
  const timeout = Math.min(timeFor(customer, code, ms), Math.max(LEAST_MS, left));
  const startedAt = performance.now();
  const cpuAtStart = process.cpuUsage();
  context.work = work;
  try {
    for (let tries = 1; ; tries++) {
      const cpuAtTry = process.cpuUsage();
      try {
        return script.runInContext(context, { timeout });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
        // V8 watches the clock on the wall: on a machine with too much to do the code may hardly have run.
        if (tries === MAX_TRIES || cpuMsSince(cpuAtTry) > timeout / 2) break;
      }
    }
    const { slow } = customer;
    if (slow.size === MAX_REMEMBERED) slow.clear();
    slow.set(code, { limit: Math.max(1, Math.floor(timeout / 10)), until: performance.now() + MEMORY_MS });
    return otherwise;
  } finally {
    delete context.work;
    const spentMs = performance.now() - startedAt;
    leftAfter(customer.allowance, spentMs);
    // Other projects are not charged for what the machine did meanwhile.
    leftAfter(ofAll, Math.min(spentMs, cpuMsSince(cpuAtStart)));
  }
}

function cpuMsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

/** The limits of a project's code. */
export function boundedFor(projectId: string): Bounded {
  return (ms, code, work, otherwise) => bounded({ projectId, ms, code }, work, otherwise);
}

function customerOf(projectId: string): Customer {
  let customer = customers.get(projectId);
  if (customer === undefined) {
    if (customers.size === MAX_PROJECTS) customers.clear();
    customer = { allowance: ofProject(), slow: new Map() };
    customers.set(projectId, customer);
  }
  return customer;
}

/** What is left of an allowance, once `spentMs` are taken off and the share of what has passed is added. */
function leftAfter(given: Allowance, spentMs: number): number {
  const now = performance.now();
  const earned = (now - given.countedAt) * given.share;
  given.leftMs = Math.min(given.burstMs, Math.max(0, given.leftMs + earned - spentMs));
  given.countedAt = now;
  return given.leftMs;
}

function timeFor({ slow }: Customer, code: string, ms: number): number {
  const known = slow.get(code);
  if (known === undefined) return ms;
  if (performance.now() < known.until) return known.limit;
  slow.delete(code);
  return ms;
}
