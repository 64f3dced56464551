import { fork } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { median } from "../../src/statistics.ts";
import { answer } from "./answer.ts";
import { type Contender, contenders } from "./contenders.ts";
import type { Workshop } from "./prepare.ts";

/** What a call costs over `fetch` by hand. */
export interface CallCosts {
  readonly name: string;
  readonly isOurs: boolean;
  /** Microseconds of CPU of the client alone, over a `fetch` that answers from memory; undefined for another transport. */
  readonly clientMicros: number | undefined;
  /** Time of a call over that of `fetch`, one after the other. */
  readonly sequential: number;
  /** The same with 64 at a time. */
  readonly wide: number;
}

type Lap = (call: () => Promise<unknown>) => Promise<number>;

interface Runner {
  readonly contender: Contender;
  readonly call: () => Promise<unknown>;
}

/** Contenders take turns in another order each round; each ratio is one of neighbors, and the median of all rounds counts. */
export async function measureCalls(workshop: Workshop, rounds: number): Promise<CallCosts[]> {
  const fromMemory = await measureFromMemory(workshop, rounds);
  const server = fork(path.join(import.meta.dirname, "server.ts"));
  const [port] = (await once(server, "message")) as [number];
  try {
    const runners = await open(workshop, `http://127.0.0.1:${port}`, contenders);
    const sequential = await race(runners, rounds, oneByOne(500));
    const wide = await race(runners, rounds, manyAtATime(2_500, 64));
    return contenders.map(({ name, isOurs = false }, index) => ({
      name,
      isOurs,
      clientMicros: fromMemory.get(name),
      sequential: ratio(sequential, index),
      wide: ratio(wide, index),
    }));
  } finally {
    server.disconnect();
  }
}

async function measureFromMemory(workshop: Workshop, rounds: number): Promise<Map<string, number>> {
  const real = globalThis.fetch;
  const init = { status: 200, headers: { "content-type": "application/json" } };
  globalThis.fetch = async () => new Response(answer, init);
  try {
    const candidates = contenders.filter(({ hasOwnTransport }) => !hasOwnTransport);
    const runners = await open(workshop, "http://127.0.0.1:1", candidates);
    // Laps so short that most of them are not interrupted.
    const laps = await race(runners, rounds * 16, ownCpu(150));
    const overRaw = (index: number): number => median(laps.map((lap) => (lap[index] ?? 0) - (lap[0] ?? 0)));
    return new Map(candidates.map(({ name }, index) => [name, overRaw(index)]));
  } finally {
    globalThis.fetch = real;
  }
}

async function open(workshop: Workshop, baseUrl: string, candidates: readonly Contender[]): Promise<Runner[]> {
  const runners: Runner[] = [];
  for (const contender of candidates) {
    const call = await contender.open(workshop, baseUrl);
    const first = await call();
    if (typeof first !== "object" || first === null) throw new Error(`${contender.name} gave no parsed answer`);
    runners.push({ contender, call });
  }
  return runners;
}

/** Microseconds of a call by round and contender. */
async function race(runners: readonly Runner[], rounds: number, lap: Lap): Promise<number[][]> {
  for (const { call } of runners) await lap(call);
  const laps: number[][] = [];
  for (let round = 0; round < rounds; round++) {
    const micros: number[] = [];
    for (const turn of runners.keys()) {
      const index = (round + turn) % runners.length;
      const runner = runners[index];
      if (runner === undefined) continue;
      micros[index] = await lap(runner.call);
    }
    laps.push(micros);
  }
  return laps;
}

function ratio(laps: readonly number[][], index: number): number {
  return median(laps.map((lap) => (lap[index] ?? 0) / (lap[0] ?? 1)));
}

function oneByOne(calls: number): Lap {
  return manyAtATime(calls, 1);
}

/** The CPU of this process, which tells the same on a busy machine as on an idle one. */
function ownCpu(calls: number): Lap {
  return async (call) => {
    const before = process.cpuUsage();
    for (let count = 0; count < calls; count++) await call();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / calls;
  };
}

function manyAtATime(calls: number, width: number): Lap {
  return async (call) => {
    let left = calls;
    const started = performance.now();
    const work = async (): Promise<void> => {
      while (left-- > 0) await call();
    };
    await Promise.all(Array.from({ length: width }, work));
    return ((performance.now() - started) * 1_000) / calls;
  };
}
