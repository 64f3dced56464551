// `npm run bench`: the server beside the sketch of its design. `npm run bench -- --help` says more.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { buildPrograms } from "./src/build.ts";
import type { ContenderName } from "./src/contenders.ts";
import { help, type Options, readOptions, UsageError } from "./src/options.ts";
import { play } from "./src/play.ts";
import { probeReport, probes } from "./src/probes.ts";
import { type Results, roundLine, scenarioReport } from "./src/report.ts";
import type { Figures, ScenarioName } from "./src/scenarios.ts";
import { type Store, startStore } from "./src/store.ts";

/** A play during which others took more than this is repeated. */
const QUIET_CORES = 0.2;

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (!options) {
    console.log(help);
    return;
  }
  buildPrograms();
  const store = await startStore();
  try {
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}`;
    console.log(`PostgreSQL ${store.version}, fsync and synchronous_commit on; Node.js ${process.version}; ${machine}`);
    const all: Partial<Record<ScenarioName, Results>> = {};
    let areMet = true;
    for (const scenario of options.scenarios) {
      const results = await playRounds(store, scenario, options);
      all[scenario] = results;
      const { text, isMet } = scenarioReport(scenario, options.runsIn(scenario), results);
      areMet &&= isMet;
      console.log(`\n${text}`);
    }
    for (const name of options.probes) {
      const setting = { store, nodeArgs: process.execArgv, isQuick: options.isQuick };
      const { text, isMet } = probeReport(name, await probes[name].run(setting));
      areMet &&= isMet;
      console.log(`\n${text}`);
    }
    if (options.json !== undefined) {
      const { contenders, rounds, keys } = options;
      const setting = { postgres: store.version, node: process.version, machine, contenders, rounds, keys };
      writeFileSync(options.json, `${JSON.stringify({ setting, results: all }, null, 2)}\n`);
    }
    if (options.enforce && !areMet) process.exitCode = 1;
  } finally {
    await store.stop();
  }
}

/** Contenders take turns, and another one begins each round, so that drift and other load hit all alike. */
async function playRounds(store: Store, scenario: ScenarioName, options: Options): Promise<Results> {
  const { contenders, rounds } = options;
  const results: Record<string, Figures[]> = Object.fromEntries(contenders.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const figures: Partial<Record<ContenderName, Figures>> = {};
    for (const index of contenders.keys()) {
      const contender = contenders[(round + index) % contenders.length];
      if (contender === undefined) continue;
      const quiet = await playQuietly(store, scenario, contender, options);
      figures[contender] = quiet;
      results[contender]?.push(quiet);
    }
    console.error(`${scenario} ${round + 1}/${rounds}  ${roundLine(scenario, figures)}`);
  }
  return results;
}

/** Plays again while others use the machine; of several tries the least disturbed one counts. */
async function playQuietly(
  store: Store,
  scenario: ScenarioName,
  contender: ContenderName,
  options: Options,
): Promise<Figures> {
  let best: Figures | undefined;
  for (let tries = 1; tries <= options.tries; tries++) {
    const figures = await playOnce(store, scenario, contender, options);
    const foreign = figures.foreign ?? 0;
    if (best === undefined || foreign < (best.foreign ?? 0)) best = figures;
    if (foreign <= QUIET_CORES) break;
    if (tries < options.tries) console.error(`${scenario}: others disturbed ${contender}; again`);
  }
  if (best === undefined) throw new Error("a play needs one try at least");
  return best;
}

function playOnce(
  store: Store,
  scenario: ScenarioName,
  contender: ContenderName,
  { keys, profile, runsIn }: Options,
): Promise<Figures> {
  const nodeArgs =
    profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${resolve(profile, `${scenario}-${contender}`)}`];
  return store
    .withDatabase((databaseUrl) =>
      play({ contender, scenario, n: runsIn(scenario), keys, databaseUrl, storePid: store.pid, nodeArgs }),
    )
    .catch((error: Error) => {
      throw new Error(`${contender} in ${scenario}: ${error.message}`, { cause: error });
    });
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message} See npm run bench -- --help.`);
  else console.error(error);
  process.exitCode = 2;
}
