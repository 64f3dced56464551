import type { Problem } from "./checked.ts";
import { jsonPointer } from "./json-pointer.ts";

/** What the graph needs to know of a step; a `WorkflowStep` is one. */
export interface GraphStep {
  readonly step_ref: string;
  /** The steps that have to finish first; a repeated one counts once. */
  readonly depends_on: readonly string[];
}

/** Why steps are not a directed acyclic graph. */
export interface GraphProblem extends Problem {
  readonly rule: "uniqueRef" | "knownRef" | "noSelfDependency" | "noCycle";
  /** RFC 6901 pointer into the array of steps, such as `/2/depends_on/0`. */
  readonly pointer: string;
}

/**
 * Finds what keeps steps from being a graph that can run: two steps of one name, dependencies that do not exist, on
 * the step itself or in a circle.
 *
 * @returns All problems in the order of the steps, then at most one cycle; empty when the graph is fine.
 */
export function graphProblems(steps: readonly GraphStep[]): GraphProblem[] {
  const problems: GraphProblem[] = [];
  const refs = new Set(steps.map((step) => step.step_ref));
  const seen = new Set<string>();
  for (const [index, { step_ref, depends_on }] of steps.entries()) {
    if (seen.has(step_ref)) {
      const fix = `rename this step: another one is called "${step_ref}" too`;
      problems.push({ rule: "uniqueRef", pointer: jsonPointer(index, "step_ref"), fix });
    }
    seen.add(step_ref);
    for (const [at, dependency] of depends_on.entries()) {
      const pointer = jsonPointer(index, "depends_on", at);
      if (dependency === step_ref) {
        problems.push({ rule: "noSelfDependency", pointer, fix: `remove "${step_ref}" from its own depends_on` });
      } else if (!refs.has(dependency)) {
        const fix = `add a step "${dependency}", or remove it from the depends_on of "${step_ref}"`;
        problems.push({ rule: "knownRef", pointer, fix });
      }
    }
  }
  const cycle = findCycle(steps);
  if (cycle) {
    const index = steps.findIndex((step) => step.step_ref === cycle[0]);
    const path = [...cycle, cycle[0]].join(" → ");
    const fix = `remove one dependency of the cycle ${path} (each step depends on the next)`;
    problems.push({ rule: "noCycle", pointer: jsonPointer(index, "depends_on"), fix });
  }
  return problems;
}

/** The steps that depend on nothing, in the order given: those that start first. */
export function rootSteps(steps: readonly GraphStep[]): string[] {
  return steps.filter((step) => step.depends_on.length === 0).map((step) => step.step_ref);
}

/**
 * All steps, each behind those that it depends on; otherwise in the order given (Kahn's algorithm).
 *
 * @throws {RangeError} When there is a cycle; check with {@link graphProblems} first.
 */
export function topologicalOrder(steps: readonly GraphStep[]): string[] {
  const { order, stuck } = sort(steps);
  if (stuck.size > 0) throw new RangeError(`these steps are in a cycle or behind one: ${[...stuck].join(", ")}`);
  return order;
}

/** Everything that depends on `ref`, directly or through others, in the order given. */
export function transitiveDependents(steps: readonly GraphStep[], ref: string): string[] {
  const dependents = dependentsOf(steps);
  const found = new Set([ref]);
  for (const each of found) for (const dependent of dependents.get(each) ?? []) found.add(dependent);
  found.delete(ref);
  return steps.map((step) => step.step_ref).filter((other) => found.has(other));
}

/**
 * Prepares the question whether one step depends on another, directly or through others, for any number of askings.
 *
 * @throws {RangeError} When there is a cycle.
 */
export function dependencyTest(steps: readonly GraphStep[]): (ref: string, dependency: string) => boolean {
  // One bit per step: a set for each of 1,000 steps could be a million entries.
  const bits = new Map(steps.map((step, index) => [step.step_ref, 1n << BigInt(index)]));
  const upstream = new Map<string, bigint>();
  const bitOf = (ref: string) => bits.get(ref) ?? 0n;
  const upstreamOf = (ref: string) => upstream.get(ref) ?? 0n;

  const rank = new Map(topologicalOrder(steps).map((ref, index) => [ref, index] as const));
  const rankOf = (step: GraphStep) => rank.get(step.step_ref) as number;
  for (const { step_ref, depends_on } of [...steps].sort((a, b) => rankOf(a) - rankOf(b))) {
    upstream.set(
      step_ref,
      depends_on.reduce((all, ref) => all | bitOf(ref) | upstreamOf(ref), 0n),
    );
  }
  return (ref, dependency) => (upstreamOf(ref) & bitOf(dependency)) !== 0n;
}

/** The direct dependents of each step that has some. */
function dependentsOf(steps: readonly GraphStep[]): Map<string, string[]> {
  const dependents = new Map<string, string[]>();
  for (const { step_ref, depends_on } of steps) {
    for (const dependency of new Set(depends_on)) {
      const known = dependents.get(dependency);
      if (known) known.push(step_ref);
      else dependents.set(dependency, [step_ref]);
    }
  }
  return dependents;
}

/** Kahn's algorithm. Dependencies that do not exist are ignored; `stuck` are the steps in a cycle, or behind one. */
function sort(steps: readonly GraphStep[]): { order: string[]; stuck: Set<string> } {
  const stuck = new Set(steps.map((step) => step.step_ref));
  const dependents = dependentsOf(steps);
  const open = new Map<string, number>();
  for (const { step_ref, depends_on } of steps) {
    open.set(step_ref, [...new Set(depends_on)].filter((dependency) => stuck.has(dependency)).length);
  }
  const order = [...stuck].filter((ref) => open.get(ref) === 0);
  for (const ref of order) {
    stuck.delete(ref);
    for (const dependent of dependents.get(ref) ?? []) {
      const left = (open.get(dependent) as number) - 1;
      open.set(dependent, left);
      if (left === 0) order.push(dependent);
    }
  }
  return { order, stuck };
}

/** One cycle of two or more steps, each depending on the next and the last on the first. */
function findCycle(steps: readonly GraphStep[]): string[] | undefined {
  const others = steps.map(({ step_ref, depends_on }) => ({
    step_ref,
    depends_on: depends_on.filter((dependency) => dependency !== step_ref),
  }));
  const { stuck } = sort(others);
  const edges = new Map(others.map((step) => [step.step_ref, step.depends_on]));
  const path: string[] = [];
  // Every stuck step depends on a stuck one, so this walk meets itself.
  let at = [...stuck][0];
  while (at !== undefined) {
    const start = path.indexOf(at);
    if (start !== -1) return path.slice(start);
    path.push(at);
    at = (edges.get(at) as string[]).find((dependency) => stuck.has(dependency));
  }
  return undefined;
}
