import { expect } from "vitest";
import { type Queryable, sql } from "../../src/store/sql.ts";
import { startExecutor } from "../server.ts";
import { bufferedOf, hasEnded, messagesOf, runsOf, triggersOf } from "./evidence.ts";
import { type Fleet, startFleet } from "./fleet.ts";
import { violations } from "./judge.ts";
import { createCode, keyIn, play } from "./play.ts";
import { crashesOf, messageNames, type Schedule, schedulesOf } from "./schedules.ts";

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
/** A process takes seconds to start, and its runs are missed for as long: many schedules would do little else. */
const crashesAmong = (count: number): number => Math.floor(count / (count > 1_000 ? 150 : 40));
/** A machine that does much else at the same time needs minutes to start a process. */
const SETTLE_LIMIT_MS = 240_000;
const POLL_MS = 40;
const MOST_FINDINGS = 5;
const SCHEDULES_PER_REPORT = 500;

/** Plays schedules of sends, cancellations, deadlines and crashes on three real processes, and judges what is left of each. */
export async function explore(
  { seed, count, only }: Exploration,
  env: Readonly<Record<string, string>>,
  db: Queryable,
): Promise<Explored> {
  const schedules = schedulesOf(seed, count);
  const code = createCode(() => fleet);
  const executor = await startExecutor(code.handle);
  const fleet: Fleet = await startFleet(env, crashesOf(seed, crashesAmong(count), count));
  const body = { name: "Ask", slug: "ask", endpoint_url: executor.url };
  const created = await fleet.request(0, "POST", "/v1/jobs", { body });
  // Who died before the answer may have created it.
  expect(created.status).toBe(created.tries > 1 && created.status === 409 ? 409 : 201);

  const [project] = await db.query<{ id: string }>(sql`SELECT id FROM projects`);
  const projectId = project?.id ?? "";

  const findings: string[] = [];
  const outcomes: Record<string, number> = {};
  const startedAt = performance.now();
  let started = 0;

  async function work(): Promise<void> {
    while (started < count && findings.length < MOST_FINDINGS) {
      const turn = started++;
      if (turn > 0 && turn % SCHEDULES_PER_REPORT === 0) {
        console.info(`${turn} schedules in ${Math.round((performance.now() - startedAt) / 1000)} s`);
      }
      const index = only ?? turn;
      const schedule = schedules[index];
      if (!schedule) throw new Error(`there is no schedule ${index} among ${count}`);
      const prefix = `explored:${turn}:`;
      const { runIds, played } = await play({ fleet, code }, prefix, schedule, turn);
      const isSettled = await settle(prefix, schedule, runIds);
      const [triggers, runs, buffered, messages] = await Promise.all([
        triggersOf(db, projectId, prefix, runIds),
        runsOf(db, projectId, runIds),
        bufferedOf(db, projectId, prefix),
        messagesOf(db, projectId, runIds),
      ]);
      const openings = new Map(schedule.openings.map((opening, n) => [runIds[n] ?? "", opening]));
      const { resumesOf } = code;
      const found = violations({ triggers, runs, openings, played, buffered, messages, resumesOf });
      if (!isSettled) found.push(`nothing moves any more: ${runs.map(({ id, status }) => `${id} is ${status}`)}`);
      for (const { type, status, kind } of triggers) {
        const end = `${type} ${kind === "rejected" ? kind : status}`;
        outcomes[end] = (outcomes[end] ?? 0) + 1;
      }
      if (found.length > 0) {
        const asked = code.answersOf(prefix).join(", ");
        const finding = `--only ${index}: ${found.join("; ")}; waits: ${asked}; ${JSON.stringify(schedule)}`;
        console.error(finding);
        findings.push(finding);
      }
    }
  }

  /** Answers what still waits when all moves have been made, and resolves when every run has ended. */
  async function settle(prefix: string, { keys, openings }: Schedule, runIds: readonly string[]): Promise<boolean> {
    const deadline = performance.now() + SETTLE_LIMIT_MS;
    const payload = `${prefix} end`;
    while (performance.now() < deadline) {
      const runs = await db.query<{ id: string; status: string }>(sql`
        SELECT id, status FROM runs WHERE project_id = ${projectId} AND id = ANY(${runIds})`);
      if (runs.length === runIds.length && runs.every(hasEnded)) return true;
      const waiting = new Set(runs.flatMap(({ id, status }) => (status === "waiting" ? [id] : [])));
      const paths = Array.from({ length: waiting.size > 0 ? keys : 0 }, (_, key) => {
        return `/v1/events/${encodeURIComponent(keyIn(prefix, key))}/send`;
      });
      const inboxes = runIds.filter((id, n) => waiting.has(id) && openings[n]?.kind === "inbox");
      await Promise.all([
        ...paths.map((path) => fleet.request(0, "POST", path, { body: { payload, if_no_waiter: "fail" } })),
        ...inboxes.map((id) =>
          fleet.request(0, "POST", `/v1/runs/${id}/inbox/${messageNames[0]}`, { body: { payload } }),
        ),
      ]);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return false;
  }

  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return { findings, deaths: fleet.deaths, outcomes, log: fleet.retire() };
}
