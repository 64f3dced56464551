import { parseArgs } from "node:util";
import { type ContenderName, contenderNames } from "./contenders.ts";
import { type ProbeName, probeNames, probes } from "./probes.ts";
import { type ScenarioName, scenarioNames, scenarios } from "./scenarios.ts";

export interface Options {
  readonly contenders: readonly ContenderName[];
  readonly scenarios: readonly ScenarioName[];
  readonly probes: readonly ProbeName[];
  readonly rounds: number;
  readonly isQuick: boolean;
  /** How often a play that others disturb is made, the first time included. */
  readonly tries: number;
  /** Runs in a scenario. */
  readonly runsIn: (scenario: ScenarioName) => number;
  readonly keys: boolean;
  readonly enforce: boolean;
  readonly json: string | undefined;
  readonly profile: string | undefined;
}

/** A mistake in the arguments. The message is all that its author needs to see. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const scenarioHelp = scenarioNames.map((name) => {
  const { title, n, quickN } = scenarios[name];
  return `  ${name.padEnd(10)}${title} (${n} runs; quick ${quickN})`;
});
const probeHelp = probeNames.map((name) => `  ${name.padEnd(10)}${probes[name].title} (ours alone, once)`);

export const help = `Measures the server beside the sketch of its design (bench/sketch), in one run on one
embedded PostgreSQL that commits to the disk. They take turns; the figures are medians, and a
ratio is the median of those of the rounds.

Usage: npm run bench -- [options]

Scenarios:
${[...scenarioHelp, ...probeHelp].join("\n")}

Options:
  --scenario <a,b>   only these scenarios
  --only <a,b>       only these contenders: ${contenderNames.join(", ")}
  --rounds <number>  how often each contender plays each scenario (5; quick 1)
  --tries <number>   how often to play again what other programs disturb, at most (3; quick 1)
  --n <number>       runs in each scenario, instead of the numbers above
  --quick            fewer runs, one round, one try: does it work, and roughly how fast
  --keys             send an Idempotency-Key with every POST
  --enforce          exit with 1 when a bar is missed; otherwise bars are only shown
  --json <file>      write every figure of every round to a file
  --profile <folder> write CPU profiles of the servers there, for Chrome DevTools; slows them down
  --help             this text

Ratios are what counts: absolute figures differ by a factor of two between machines and hours.
"foreign" is the CPU that other programs took meanwhile, in cores; figures count when it is near 0.
`;

/** @returns The options, or undefined when help was asked for. */
export function readOptions(args: readonly string[]): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const named = chosen("scenario", values.scenario, [...scenarioNames, ...probeNames]);
  const n = values.n === undefined ? undefined : count("n", values.n);
  return {
    contenders: chosen("only", values.only, contenderNames),
    scenarios: scenarioNames.filter((name) => named.includes(name)),
    probes: probeNames.filter((name) => named.includes(name)),
    isQuick: values.quick,
    rounds: values.rounds === undefined ? (values.quick ? 1 : 5) : count("rounds", values.rounds),
    tries: values.tries === undefined ? (values.quick ? 1 : 3) : count("tries", values.tries),
    runsIn: (name) => n ?? (values.quick ? scenarios[name].quickN : scenarios[name].n),
    keys: values.keys,
    enforce: values.enforce,
    json: values.json,
    profile: values.profile,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scenario: { type: "string" },
        only: { type: "string" },
        rounds: { type: "string" },
        tries: { type: "string" },
        n: { type: "string" },
        quick: { type: "boolean", default: false },
        keys: { type: "boolean", default: false },
        enforce: { type: "boolean", default: false },
        json: { type: "string" },
        profile: { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function chosen<Name extends string>(
  option: string,
  list: string | undefined,
  names: readonly Name[],
): readonly Name[] {
  if (list === undefined) return names;
  const wanted = list.split(",");
  const unknown = wanted.find((name) => !names.some((known) => known === name));
  if (unknown !== undefined) {
    throw new UsageError(`--${option} does not know ${JSON.stringify(unknown)}; it knows ${names.join(", ")}.`);
  }
  return names.filter((name) => wanted.includes(name));
}

function count(option: string, value: string): number {
  if (/^[1-9]\d{0,6}$/.test(value)) return Number(value);
  throw new UsageError(`--${option} takes a number from 1 on, not ${JSON.stringify(value)}.`);
}
