import { setTimeout as sleep } from "node:timers/promises";
import type { Listener, Payload, Session } from "./contender.ts";
import { type CpuParts, type Measurement, startMeasuring } from "./cpu.ts";
import { Flights } from "./flights.ts";
import { type Quantiles, quantiles } from "./statistics.ts";

export const scenarioNames = ["enqueue", "resolve", "resume", "start"] as const;
export type ScenarioName = (typeof scenarioNames)[number];

/** What one contender did in one scenario. */
export interface Figures {
  /** Runs per second. In a paced scenario it is the pace that was kept. */
  readonly rate: number;
  /** Milliseconds from the call to the handler of its run. */
  readonly latencyMs: Quantiles;
  /** CPU seconds per 1,000 runs. Undefined where there is no /proc. */
  readonly cpu: CpuParts | undefined;
  /** CPU seconds per second that others used meanwhile. */
  readonly foreign: number | undefined;
}

export interface Play {
  readonly session: Session;
  readonly listener: Listener;
  readonly storePid: number;
  readonly n: number;
}

export interface Scenario {
  readonly title: string;
  /** How many runs, by default and with `--quick`. */
  readonly n: number;
  readonly quickN: number;
  run(play: Play): Promise<Figures>;
}

const CALLERS = 32;
const LIMIT_MS = 120_000;
/** Time to finish what a warm-up began. */
const SETTLE_MS = 500;
const NOTE = "x".repeat(100);

export const scenarios: Readonly<Record<ScenarioName, Scenario>> = {
  enqueue: {
    title: `enqueue → dispatched → complete, ${CALLERS} callers`,
    n: 5_000,
    quickN: 1_500,
    async run(play) {
      await warmUp(play, 200);
      return runJobs(play, sideBySide);
    },
  },
  resolve: {
    title: `event → resumed, all waiting, ${CALLERS} callers`,
    n: 1_000,
    quickN: 400,
    run: (play) => resolveEvents(play, sideBySide),
  },
  resume: {
    title: "event → resumed, 50 a second",
    n: 250,
    quickN: 100,
    run: (play) => resolveEvents(play, (n, call) => paced(n, 50, call)),
  },
  start: {
    title: "enqueue → handler started, 25 a second",
    n: 250,
    quickN: 75,
    async run(play) {
      await warmUp(play, 50);
      return runJobs(play, (n, call) => paced(n, 25, call));
    },
  },
};

/** Makes `n` calls, in its way of pacing them. */
type Caller = (n: number, call: (i: number) => Promise<void>) => Promise<void>;

/** Enqueues runs; ends when the store says that none is left. */
async function runJobs({ session, listener, storePid, n }: Play, makeCalls: Caller): Promise<Figures> {
  const runs = new Flights<number>(n);
  listener.started = ({ i }) => runs.land(i);
  const stop = startMeasuring(storePid);
  const called = makeCalls(n, (i) => {
    runs.takeOff(i);
    return session.enqueue(payload(i));
  });
  await inTime(Promise.all([called, runs.landed]), () => `${runs.latenciesMs.length} of ${n} runs were started`);
  await inTime(settled(session), () => "some runs did not end");
  return figures(n, runs.latenciesMs, stop());
}

/** Parks runs, then sends an event to each; ends when all handlers go on. */
async function resolveEvents({ session, listener, storePid, n }: Play, makeCalls: Caller): Promise<Figures> {
  const keys = Array.from({ length: n }, (_, i) => `evt-${process.pid}-${i}`);
  const keyOf = (i: number) => keys[i] ?? "";
  const parked = new Flights<string>(n);
  listener.waiting = (key) => parked.land(key);
  const parking = sideBySide(n, (i) => {
    parked.takeOff(keyOf(i));
    return session.waitOn(keyOf(i));
  });
  await inTime(Promise.all([parking, parked.landed]), () => `${parked.latenciesMs.length} of ${n} runs were parked`);
  await inTime(settled(session), () => "some runs do not wait");
  await sleep(SETTLE_MS);

  const events = new Flights<string>(n);
  listener.resumed = (key) => events.land(key);
  const stop = startMeasuring(storePid);
  const called = makeCalls(n, (i) => {
    events.takeOff(keyOf(i));
    return session.resolve(keyOf(i), { ok: i });
  });
  await inTime(Promise.all([called, events.landed]), () => `${events.latenciesMs.length} of ${n} runs were resumed`);
  return figures(n, events.latenciesMs, stop());
}

async function warmUp({ session, listener }: Play, n: number): Promise<void> {
  const runs = new Flights<number>(n);
  listener.started = ({ i }) => runs.land(i);
  const called = sideBySide(n, (i) => {
    runs.takeOff(i);
    return session.enqueue(payload(i));
  });
  await inTime(Promise.all([called, runs.landed]), () => `${runs.latenciesMs.length} of ${n} first runs were started`);
  await sleep(SETTLE_MS);
}

const payload = (i: number): Payload => ({ i, user: "u-123", note: NOTE });

/** A number of callers, each of which waits for its answer before it calls again. */
async function sideBySide(n: number, call: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const callOn = async () => {
    while (next < n) await call(next++);
  };
  await Promise.all(Array.from({ length: CALLERS }, callOn));
}

/** Calls at random distances, whether or not earlier ones have been answered. */
async function paced(n: number, perSecond: number, call: (i: number) => Promise<void>): Promise<void> {
  const calls: Promise<void>[] = [];
  for (let i = 0; i < n; i++) {
    calls.push(call(i));
    await sleep((1000 / perSecond) * (0.5 + Math.random()));
  }
  await Promise.all(calls);
}

/** Waits until the store itself says so, and not only until the last handler ran. */
async function settled(session: Session): Promise<void> {
  while ((await session.pending()) > 0) await sleep(20);
}

async function inTime(work: Promise<unknown>, sayHowFar: () => string): Promise<void> {
  const abort = new AbortController();
  const limit = sleep(LIMIT_MS, undefined, { signal: abort.signal }).then(
    () => {
      throw new Error(`${sayHowFar()} within ${LIMIT_MS / 1000} s`);
    },
    () => {},
  );
  await Promise.race([work, limit]);
  abort.abort();
}

function figures(n: number, latenciesMs: readonly number[], { seconds, cpu, foreign }: Measurement): Figures {
  const per1k = (value: number) => (value / n) * 1000;
  return {
    rate: n / seconds,
    latencyMs: quantiles(latenciesMs),
    cpu: cpu && { driver: per1k(cpu.driver), server: per1k(cpu.server), store: per1k(cpu.store) },
    foreign,
  };
}
