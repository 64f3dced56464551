import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import type { Answer, TestServer } from "./server.ts";
import { type StagedRun, send, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";
import { deadlocks, startTwo } from "./two-servers.ts";

const ROUNDS = 25;
const summary = ({ status, body }: Answer) => `${status} ${body.disposition ?? body.error?.code ?? body.status}`;

/** Runs that each wait for a group of `members` keys. */
async function startGroups(members: number, body: object) {
  const { a, b } = await startTwo();
  const stage = await startStage(a);
  const runs: StagedRun[] = await Promise.all(Array.from({ length: ROUNDS }, () => stage.run()));
  const keysOf = (round: number) => Array.from({ length: members }, (_, n) => `${round}:${n}`);
  const groups = await Promise.all(
    runs.map((run, round) =>
      a.request("POST", `/sdk/v1/runs/${run.id}/wait-for-events`, {
        token: run.token,
        body: { waits: keysOf(round).map((event_key) => ({ event_key })), ...body },
      }),
    ),
  );
  expect(groups.map(({ status }) => status)).toEqual(groups.map(() => 200));
  return { a, b, stage, runs, keysOf };
}

/** How the waits of each run ended, by their keys. */
async function endsOf(strait: TestServer, round: number): Promise<string[]> {
  const rows = await strait.db.query<{ status: string }>(sql`
    SELECT status FROM event_triggers WHERE event_key LIKE ${`${round}:%`} ORDER BY event_key`);
  return rows.map(({ status }) => status);
}

const tally = (items: readonly string[]) => items.toSorted().join(", ");

describe("events that are sent to a group at once, by two processes", () => {
  test("R8 R9 any: one delivers, the others are late, one wake-up, and nobody deadlocks", async () => {
    const { a, b, stage, runs, keysOf } = await startGroups(3, { mode: "any" });

    const answers = await Promise.all(
      runs.map((_, round) =>
        Promise.all(keysOf(round).map((key, n) => send((round + n) % 2 === 0 ? a : b, key, { n }))),
      ),
    );

    for (const [round, run] of runs.entries()) {
      expect(tally(answers[round]?.map(summary) ?? [])).toBe("200 delivered, 409 wait_closed, 409 wait_closed");
      expect(tally(await endsOf(a, round))).toBe("canceled, canceled, received");
      const { winner } = JSON.parse(String((await run.dispatch(2)).headers["x-last-checkpoint"]));
      expect(winner).toBe(keysOf(round)[answers[round]?.findIndex(({ status }) => status === 200) ?? -1]);
    }
    expect(stage.executor.dispatches).toHaveLength(2 * ROUNDS);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R8 all: every one is recorded, the last crosses the line once, one wake-up", async () => {
    const { a, b, stage, runs, keysOf } = await startGroups(3, { mode: "all" });

    const answers = await Promise.all(
      runs.map((_, round) => Promise.all(keysOf(round).map((key, n) => send((round + n) % 2 === 0 ? a : b, key, n)))),
    );

    for (const [round, run] of runs.entries()) {
      expect(tally(answers[round]?.map(summary) ?? [])).toBe("200 delivered, 200 recorded, 200 recorded");
      const { results } = JSON.parse(String((await run.dispatch(2)).headers["x-last-checkpoint"]));
      expect(results.map(({ payload }: { payload: number }) => payload)).toEqual([0, 1, 2]);
    }
    expect(stage.executor.dispatches).toHaveLength(2 * ROUNDS);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R8 the last two votes of a quorum: both are recorded or one is late, one crosses the line, one wake-up", async () => {
    const { a, b, stage, runs, keysOf } = await startGroups(4, { mode: "at_least", count: 3 });
    await Promise.all(runs.map((_, round) => send(a, `${round}:0`, 0)));

    const answers = await Promise.all(
      runs.map((_, round) =>
        Promise.all(
          keysOf(round)
            .slice(1)
            .map((key, n) => send(n % 2 === 0 ? a : b, key, n)),
        ),
      ),
    );

    for (const [round, run] of runs.entries()) {
      expect(tally(answers[round]?.map(summary) ?? [])).toBe("200 delivered, 200 recorded, 409 wait_closed");
      expect(tally(await endsOf(a, round))).toBe("canceled, received, received, received");
      await run.dispatch(2);
    }
    expect(stage.executor.dispatches).toHaveLength(2 * ROUNDS);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R1 R6 R8 and cancellations, deadlines and sweepers: each group ends once, and so does each wait", async () => {
    const { a, b, runs, keysOf } = await startGroups(3, { mode: "any", timeout_secs: 600, on_timeout: "resume" });

    await Promise.all([
      ...runs.map((_, round) => send(a, `${round}:0`, 1)),
      ...runs.map((_, round) => b.request("DELETE", `/v1/events/${round}:1`)),
      ...runs.map((_, round) => send(b, `${round}:2`, 2)),
      ...runs.filter((_, round) => round % 3 === 0).map((run) => b.request("DELETE", `/v1/runs/${run.id}`)),
      b.request("POST", "/v1/events/prefix/1/send", { body: { allow_short: true, payload: 3 } }),
      advanceClock(a.db, 600_000),
      a.tick("settle-due-waits"),
      b.tick("settle-due-waits"),
    ]);

    for (const [round, run] of runs.entries()) {
      if (round % 3 === 0) await run.is("canceled");
      else await run.dispatch(2);
      expect((await endsOf(a, round)).filter((status) => status === "received").length).toBeLessThanOrEqual(1);
    }
    expect(await a.db.query(sql`SELECT id FROM event_triggers WHERE status = 'waiting'`)).toEqual([]);
    const ends = await a.db.query<{ ends: number }>(sql`
      SELECT count(*)::int AS ends FROM changes
      WHERE ended_trigger_id IS NOT NULL
        OR after IN ('received', 'timed_out', 'canceled') AND subject_id LIKE 'trg_%'
      GROUP BY coalesce(ended_trigger_id, subject_id)`);
    expect(ends).toHaveLength(runs.length * (keysOf(0).length + 1));
    expect(ends.filter((row) => row.ends !== 1)).toEqual([]);
    const resumes = await a.db.query<{ dispatch_seq: number }>(sql`SELECT DISTINCT dispatch_seq FROM runs`);
    expect(Math.max(...resumes.map(({ dispatch_seq }) => dispatch_seq))).toBeLessThanOrEqual(2);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R8 to many groups are decided together, not one after another", async () => {
    const { a, stage, runs } = await startGroups(2, { mode: "any" });
    const statements = recordStatements();

    const answers = await Promise.all(runs.map((_, round) => send(a, `${round}:0`, round)));

    expect(new Set(answers.map(summary))).toEqual(new Set(["200 delivered"]));
    for (const run of runs) await run.dispatch(2);
    expect(stage.executor.dispatches).toHaveLength(2 * ROUNDS);
    const looks = statements.filter(({ text }) => text.includes("t.group_mode"));
    expect(looks.length).toBeLessThan(ROUNDS / 2);
  });
});
