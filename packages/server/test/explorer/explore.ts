import { expect } from "vitest";
import type { Queryable } from "../../src/store/sql.ts";
import { startExecutor } from "../server.ts";
import { bufferedOf, hasEnded, runsOf, triggersOf } from "./evidence.ts";
import { type Fleet, startFleet } from "./fleet.ts";
import { violations } from "./judge.ts";
import { createCode, play } from "./play.ts";
import { crashesOf, schedulesOf } from "./schedules.ts";

export interface Exploration {
  readonly seed: number;
  readonly count: number;
  /** Only the schedule with this number, as often as there would be schedules. */
  readonly only: number | undefined;
}

export interface Explored {
  /** A line for each schedule that ended as none may. */
  readonly findings: readonly string[];
  readonly deaths: readonly string[];
  /** The errors that the processes have logged. */
  readonly log: string;
  /** How many waits ended in each way. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** They wait more than they work, and the more of them a crash meets the better. */
const AT_A_TIME = 24;
/** A process takes seconds to start, and its runs are missed for as long. */
const SCHEDULES_PER_CRASH = 40;
const SETTLE_LIMIT_MS = 60_000;
const POLL_MS = 40;

/** Plays schedules of sends, cancellations, deadlines and crashes on three real processes, and judges what is left of each. */
export async function explore(
  { seed, count, only }: Exploration,
  env: Readonly<Record<string, string>>,
  db: Queryable,
): Promise<Explored> {
  const schedules = schedulesOf(seed, count);
  const code = createCode(() => fleet);
  const executor = await startExecutor(code.handle);
  const fleet: Fleet = await startFleet(env, crashesOf(seed, Math.floor(count / SCHEDULES_PER_CRASH)));
  const body = { name: "Ask", slug: "ask", endpoint_url: executor.url };
  expect((await fleet.request(0, "POST", "/v1/jobs", { body })).status).toBe(201);

  const findings: string[] = [];
  const outcomes: Record<string, number> = {};
  let started = 0;

  async function work(): Promise<void> {
    while (started < count && findings.length < 5) {
      const turn = started++;
      const index = only ?? turn;
      const schedule = schedules[index];
      if (!schedule) throw new Error(`there is no schedule ${index} among ${count}`);
      const eventKey = `explored:${turn}`;
      const { runIds, played } = await play({ fleet, code }, eventKey, schedule, turn);
      const isSettled = await settle(eventKey, runIds);
      const triggers = await triggersOf(db, eventKey);
      const runs = await runsOf(db, runIds);
      const buffered = await bufferedOf(db, eventKey);
      const found = violations({ triggers, runs, played, buffered, resumesOf: code.resumesOf });
      if (!isSettled) found.push(`nothing moves any more: ${runs.map(({ id, status }) => `${id} is ${status}`)}`);
      for (const { status, kind } of triggers) {
        const end = kind === "rejected" ? kind : status;
        outcomes[end] = (outcomes[end] ?? 0) + 1;
      }
      if (found.length > 0) {
        const asked = code.answersOf(eventKey).join(", ");
        findings.push(`--only ${index}: ${found.join("; ")}; waits: ${asked}; ${JSON.stringify(schedule)}`);
      }
    }
  }

  /** Answers what still waits when all moves have been made, and resolves when every run has ended. */
  async function settle(eventKey: string, runIds: readonly string[]): Promise<boolean> {
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    while (performance.now() < deadline) {
      const runs = await db.query<{ status: string }>({
        text: "SELECT status FROM runs WHERE id = ANY($1)",
        values: [runIds],
      });
      if (runs.length === runIds.length && runs.every(hasEnded)) return true;
      if (runs.some(({ status }) => status === "waiting")) {
        const path = `/v1/events/${encodeURIComponent(eventKey)}/send`;
        await fleet.request(0, "POST", path, { body: { payload: `${eventKey} end`, if_no_waiter: "fail" } });
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return false;
  }

  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return { findings, deaths: fleet.deaths, outcomes, log: fleet.retire() };
}
