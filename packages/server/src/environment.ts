import { parsePositiveDuration } from "@strait/core";

/** The variables of a process, by name. An empty one counts as not set, as Docker Compose leaves those it knows nothing of. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads variables as typed values, and collects what is wrong with them, one sentence for each. */
export interface EnvironmentReader {
  readonly problems: string[];
  /** Every name that was asked for. */
  readonly known: ReadonlySet<string>;
  text(name: string): string | undefined;
  integer(name: string, range: { otherwise: number; min: number; max: number }): number;
  flag(name: string, otherwise: boolean): boolean;
  choice<Choice extends string>(name: string, choices: readonly Choice[], otherwise: Choice): Choice;
  /** A duration in Go's grammar, in milliseconds. */
  durationMs(name: string, otherwiseMs: number): number;
  /** The same, for times that no timer holds. */
  longDurationMs(name: string, otherwiseMs: number): number;
  /** Values between commas. */
  list(name: string, otherwise: readonly string[]): readonly string[];
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** What timers of Node can hold; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_LONG_MS = 36_500 * 86_400_000;

export function environmentReader(env: Environment): EnvironmentReader {
  const problems: string[] = [];
  const known = new Set<string>();

  function text(name: string): string | undefined {
    known.add(name);
    const value = env[name]?.trim();
    return value === "" ? undefined : value;
  }

  /** The value of `name` as `parse` has it; undefined, and a problem, when it is not what is `wanted`. */
  function parsed<Value>(
    name: string,
    otherwise: Value,
    parse: (value: string) => Value | undefined,
    wanted: string,
  ): Value {
    const value = text(name);
    if (value === undefined) return otherwise;
    const result = parse(value);
    if (result === undefined) problems.push(`${name} is ${JSON.stringify(value)}; set it to ${wanted}.`);
    return result ?? otherwise;
  }

  return {
    problems,
    known,
    text,
    integer: (name, { otherwise, min, max }) =>
      parsed(
        name,
        otherwise,
        (value) =>
          /^\d{1,15}$/.test(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
        `a whole number from ${min} to ${max}, such as ${otherwise}`,
      ),
    flag: (name, otherwise) => parsed(name, otherwise, (value) => FLAGS.get(value.toLowerCase()), "true or false"),
    choice: (name, choices, otherwise) =>
      parsed(name, otherwise, (value) => choices.find((choice) => choice === value), `one of ${choices.join(", ")}`),
    durationMs: (name, otherwiseMs) =>
      parsed(name, otherwiseMs, durationUpTo(MAX_TIMER_MS), 'a duration from 1ms to 24d, such as "30s" or "1m30s"'),
    longDurationMs: (name, otherwiseMs) =>
      parsed(name, otherwiseMs, durationUpTo(MAX_LONG_MS), 'a duration of at most 36500d, such as "720h" or "30d"'),
    list: (name, otherwise) => {
      const values = text(name)?.split(",");
      return values?.map((value) => value.trim()).filter((value) => value !== "") ?? otherwise;
    },
  };
}

function durationUpTo(maxMs: number): (value: string) => number | undefined {
  return (value) => {
    const duration = parsePositiveDuration(value);
    return duration.ok && duration.value >= 1 && duration.value <= maxMs ? duration.value : undefined;
  };
}
