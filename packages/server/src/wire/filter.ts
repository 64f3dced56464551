import { Environment } from "@marcbachmann/cel-js";
import type { ErrorIssue } from "@strait/contract";
import type { FilteredEvent } from "../domain/judge.ts";
import type { Bounded } from "./bounded.ts";

const MAX_COMPILED = 1_000;
/** For one event. An expression is limited in size, but a pattern in it may take for ever. */
const MAX_MS = 100;

const environment = new Environment({
  limits: { maxAstNodes: 500, maxDepth: 50, maxListElements: 100, maxMapEntries: 100, maxCallArguments: 16 },
})
  .registerVariable("payload", "dyn")
  .registerVariable("event", "map");

type Expression = ReturnType<typeof environment.parse>;
const compiled = new Map<string, Expression>();

/** What a wait may ask of events. */
export interface Filters {
  /** What is wrong with a filter (CEL) itself; undefined when it can be used. */
  filterIssue(filter: string, field: string): ErrorIssue | undefined;
  /** Whether the event is meant for a wait with this filter. One that cannot be evaluated on it is not true of it. */
  passes(filter: string, event: FilteredEvent): boolean;
}

/** @param bounded - How long a customer's expression may take. */
export function filters(bounded: Bounded): Filters {
  return {
    filterIssue,
    passes(filter, { event_key, payload, actor }) {
      const event = { key: event_key, sent_by: actor };
      return bounded(MAX_MS, filter, () => isTrue(filter, { payload, event }), false);
    },
  };
}

function filterIssue(filter: string, field: string): ErrorIssue | undefined {
  try {
    const { valid, type, error } = environment.check(filter);
    if (!valid) return unusable(field, error?.message ?? "it has no type");
    if (type !== "bool" && type !== "dyn") return unusable(field, `it gives a ${type}, and has to give true or false`);
    return undefined;
  } catch (error) {
    return unusable(field, error instanceof Error ? error.message : String(error));
  }
}

function unusable(field: string, problem: string): ErrorIssue {
  const [first] = problem.split("\n");
  return { field, rule: "cel", fix: `write a CEL expression over payload and event: ${first}` };
}

function isTrue(filter: string, variables: Record<string, unknown>): boolean {
  try {
    return compile(filter)(variables) === true;
  } catch {
    return false;
  }
}

function compile(filter: string): Expression {
  let expression = compiled.get(filter);
  if (expression === undefined) {
    if (compiled.size === MAX_COMPILED) compiled.clear();
    expression = environment.parse(filter);
    compiled.set(filter, expression);
  }
  return expression;
}
