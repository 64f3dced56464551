// CPU time from Linux's /proc: of a tree of processes, and of all the others.

import { readdirSync, readFileSync } from "node:fs";

/** CPU seconds. */
export interface CpuParts {
  /** This process: clients and handlers. */
  readonly driver: number;
  /** Its children. */
  readonly server: number;
  /** The database, with all of its processes. */
  readonly store: number;
}

export interface Measurement {
  readonly seconds: number;
  /** Undefined where there is no /proc. */
  readonly cpu: CpuParts | undefined;
  /** CPU seconds per second that the rest of the machine used: 0 is a quiet run, 1 is one core taken by somebody else. */
  readonly foreign: number | undefined;
}

/** The unit of times in /proc, on every architecture that Node.js runs on. */
const TICKS_PER_SECOND = 100;

interface ProcessTimes {
  readonly parent: number;
  /** Of the process and of its children that have ended. */
  readonly seconds: number;
}

/** Begins a measurement; calling the result ends it. */
export function startMeasuring(storePid: number): () => Measurement {
  const startedAt = performance.now();
  const before = read(storePid);
  return () => {
    const seconds = (performance.now() - startedAt) / 1000;
    const after = read(storePid);
    if (!before || !after) return { seconds, cpu: undefined, foreign: undefined };
    const cpu = {
      driver: after.driver - before.driver,
      server: Math.max(0, after.server - before.server),
      store: Math.max(0, after.store - before.store),
    };
    const ours = cpu.driver + cpu.server + cpu.store;
    return { seconds, cpu, foreign: Math.max(0, (after.machine - before.machine - ours) / seconds) };
  };
}

function read(storePid: number): (CpuParts & { machine: number }) | undefined {
  if (process.platform !== "linux") return undefined;
  const all = readProcesses();
  const children = [...all].flatMap(([pid, { parent }]) => (parent === process.pid ? [pid] : []));
  const { user, system } = process.cpuUsage();
  return {
    driver: (user + system) / 1e6,
    server: children.reduce((sum, pid) => sum + secondsOfTree(pid, all), 0),
    store: secondsOfTree(storePid, all),
    machine: readMachine(),
  };
}

/** CPU seconds that a process has used so far; NaN where there is no /proc. */
export function cpuSecondsOf(pid: number): number {
  return readProcess(String(pid))?.seconds ?? Number.NaN;
}

function readProcesses(): Map<number, ProcessTimes> {
  const all = new Map<number, ProcessTimes>();
  for (const name of readdirSync("/proc")) {
    const times = /^\d+$/.test(name) ? readProcess(name) : undefined;
    if (times) all.set(Number(name), times);
  }
  return all;
}

/** Undefined when the process has just ended. */
function readProcess(pid: string): ProcessTimes | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field is the program's name, in parentheses, and may hold anything; state is the third, parent the fourth,
  // and 14 to 17 are the times: user, system, and both of children that were waited for.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { parent: Number(fields[1]), seconds: ticks / TICKS_PER_SECOND };
}

function secondsOfTree(root: number, all: ReadonlyMap<number, ProcessTimes>): number {
  let seconds = all.get(root)?.seconds ?? 0;
  for (const [pid, { parent }] of all) if (parent === root) seconds += secondsOfTree(pid, all);
  return seconds;
}

/** All cores since the machine was started, without idling, waiting for disks, and what other machines stole. */
function readMachine(): number {
  const [total = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = total.split(/\s+/).map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}
